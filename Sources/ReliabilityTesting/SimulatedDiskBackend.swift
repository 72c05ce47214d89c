/// The calls of a ``SimulatedDisk``: counted, made to fail, traced, and then made on its state.
struct SimulatedBackend: FileSystemBackend {
  let disk: SimulatedDisk

  /// What a call is about.
  private enum Subject {
    case file(Descriptor)
    case name(String, Descriptor?)
    case names((String, Descriptor?), (String, Descriptor?))
  }

  private func perform<R: Sendable>(
    _ call: SimulatedDisk.Call, _ subject: Subject, _ detail: TracedCall.Detail = .none,
    onFault: (inout SimulatedMachine) -> Void = { _ in },
    _ body: (inout SimulatedMachine) throws(ErrorNumber) -> R
  ) throws(ErrorNumber) -> R {
    let (result, wakeable): (Result<R, ErrorNumber>, [ThreadParker]) =
      disk.machine.withLock { machine in
        let result = SimulatedBackend.perform(
          call, subject, detail, on: &machine, onFault: onFault, body)
        let wakeable = machine.wakeable
        if !wakeable.isEmpty { machine.wakeable = [] }
        return (result, wakeable)
      }
    for waiter in wakeable { waiter.wake() }
    return try result.get()
  }

  private static func perform<R>(
    _ call: SimulatedDisk.Call, _ subject: Subject, _ detail: TracedCall.Detail,
    on machine: inout SimulatedMachine, onFault: (inout SimulatedMachine) -> Void,
    _ body: (inout SimulatedMachine) throws(ErrorNumber) -> R
  ) -> Result<R, ErrorNumber> {
    machine.advanceClock(by: 1000)
    // A closed descriptor's path is gone afterwards.
    let path = machine.journal.isTracing ? paths(subject, machine)[0] : ""
    let all = machine.journal.wantsPaths ? paths(subject, machine) : []
    let failure = machine.journal.begin(call, all)
    do throws(ErrorNumber) {
      if let failure {
        if failure != .interrupted || call == .close { onFault(&machine) }
        throw failure
      }
      let result = try body(&machine)
      machine.journal.record(call, path, detail, nil)
      machine.recordCrashPoint()
      return .success(result)
    } catch {
      machine.journal.record(call, path, detail, error)
      machine.recordCrashPoint()
      return .failure(error)
    }
  }

  private static func paths(_ subject: Subject, _ machine: SimulatedMachine) -> [String] {
    switch subject {
    case .file(let file):
      let open = machine.descriptors[file.rawValue].flatMap { machine.descriptions[$0] }
      return [open?.path ?? "descriptor \(file.rawValue)"]
    case .name(let name, let directory): return [machine.describe(name, in: directory)]
    case .names(let first, let second):
      return [
        machine.describe(first.0, in: first.1), machine.describe(second.0, in: second.1),
      ]
    }
  }

  // MARK: Descriptors

  func open(
    _ name: String, in directory: Descriptor?, _ flags: OpenFlags, mode: FileMode
  ) throws(ErrorNumber) -> Descriptor {
    let call: SimulatedDisk.Call =
      flags.contains(.directory) ? .openDirectory : flags.contains(.create) ? .create : .open
    return try perform(call, .name(name, directory)) { (machine) throws(ErrorNumber) in
      try machine.open(name, in: directory, flags, mode: mode)
    }
  }

  func close(_ file: Descriptor) throws(ErrorNumber) {
    try perform(.close, .file(file), onFault: { try? $0.close(file) }) {
      (machine) throws(ErrorNumber) in
      try machine.close(file)
    }
  }

  func duplicate(_ file: Descriptor) throws(ErrorNumber) -> Descriptor {
    try perform(.dup, .file(file)) { (machine) throws(ErrorNumber) in try machine.duplicate(file) }
  }

  // MARK: Contents

  func read(
    _ file: Descriptor, into buffer: inout OutputSpan<UInt8>, at offset: Int64?
  ) throws(ErrorNumber) -> Int {
    let free = buffer.freeCapacity
    let bytes = try perform(.read, .file(file), .bytes(free, offset: offset)) {
      (machine) throws(ErrorNumber) in
      let count = min(free, machine.journal.transferLimit ?? free)
      return try machine.read(file, atMost: count, at: offset)
    }
    buffer.append(copyOf: bytes)
    return bytes.count
  }

  func write(
    _ file: Descriptor, _ bytes: Span<UInt8>, at offset: Int64?
  ) throws(ErrorNumber) -> Int {
    // Copied before the lock is taken: a span can't enter the body.
    let copy = bytes.copied
    return try perform(.write, .file(file), .bytes(copy.count, offset: offset)) {
      (machine) throws(ErrorNumber) in
      let count = min(copy.count, machine.journal.transferLimit ?? copy.count)
      return try machine.write(file, count == copy.count ? copy : Array(copy[..<count]), at: offset)
    }
  }

  func truncate(_ file: Descriptor, to size: Int64) throws(ErrorNumber) {
    try perform(.truncate, .file(file), .size(size)) { (machine) throws(ErrorNumber) in
      try machine.truncate(file, to: size)
    }
  }

  func sync(_ file: Descriptor, _ kind: SyncKind) throws(ErrorNumber) {
    func fail(_ machine: inout SimulatedMachine) {
      if let description = try? machine.usable(file) { machine.failSync(of: description.node) }
    }
    try perform(kind == .data ? .fdatasync : .fsync, .file(file), onFault: fail) {
      (machine) throws(ErrorNumber) in
      try machine.sync(file, kind)
    }
  }

  // MARK: Metadata

  func status(_ file: Descriptor) throws(ErrorNumber) -> FileStatus {
    try perform(.fstat, .file(file)) { (machine) throws(ErrorNumber) in
      try machine.status(machine.description(file).node)
    }
  }

  func status(
    of name: String, in directory: Descriptor?, followingLink: Bool
  ) throws(ErrorNumber) -> FileStatus {
    try perform(.fstatat, .name(name, directory)) { (machine) throws(ErrorNumber) in
      try machine.status(machine.existing(name, in: directory, following: followingLink))
    }
  }

  func setMode(_ file: Descriptor, _ mode: FileMode) throws(ErrorNumber) {
    try perform(.fchmod, .file(file), .mode(mode)) { (machine) throws(ErrorNumber) in
      try machine.changeMetadata(file, .mode(mode))
    }
  }

  func setOwner(_ file: Descriptor, user: UInt32?, group: UInt32?) throws(ErrorNumber) {
    try perform(.fchown, .file(file)) { (machine) throws(ErrorNumber) in
      try machine.setOwner(file, user: user, group: group)
    }
  }

  func touch(_ file: Descriptor) throws(ErrorNumber) {
    try perform(.futimens, .file(file)) { (machine) throws(ErrorNumber) in
      try machine.changeMetadata(file, .touch)
    }
  }

  func kind(of file: Descriptor) throws(ErrorNumber) -> FileSystemKind {
    try perform(.fstatfs, .file(file)) { (machine) throws(ErrorNumber) in
      _ = try machine.description(file)
      return FileSystemKind(
        name: machine.configuration.kind, isNetwork: machine.configuration.isNetwork)
    }
  }

  func attributeNames(_ file: Descriptor) throws(ErrorNumber) -> [String] {
    try perform(.flistxattr, .file(file)) { (machine) throws(ErrorNumber) in
      try Array(machine.node(machine.usable(file).node).attributes.keys)
    }
  }

  func attribute(_ file: Descriptor, _ name: String) throws(ErrorNumber) -> [UInt8] {
    try perform(.fgetxattr, .file(file), .name(name)) { (machine) throws(ErrorNumber) in
      try machine.attribute(file, name)
    }
  }

  func setAttribute(
    _ file: Descriptor, _ name: String, _ value: Span<UInt8>
  ) throws(ErrorNumber) {
    let copy = value.copied
    try perform(.fsetxattr, .file(file), .name(name)) { (machine) throws(ErrorNumber) in
      try machine.setAttribute(file, name, copy)
    }
  }

  func removeAttribute(_ file: Descriptor, _ name: String) throws(ErrorNumber) {
    try perform(.fremovexattr, .file(file), .name(name)) { (machine) throws(ErrorNumber) in
      try machine.removeAttribute(file, name)
    }
  }

  // MARK: Locks

  func lock(_ file: Descriptor, _ operation: LockOperation) throws(ErrorNumber) {
    try perform(.flock, .file(file), .operation(operation)) { (machine) throws(ErrorNumber) in
      try machine.lock(file, operation)
    }
  }

  func lockWaiting(_ file: Descriptor, _ operation: LockOperation) throws(ErrorNumber) {
    try waiting(.flock, file, operation) { (machine) throws(ErrorNumber) in
      try machine.lock(file, operation)
    }
  }

  func lockRange(
    _ file: Descriptor, _ range: Range<Int64>, _ operation: LockOperation, waits: Bool
  ) throws(ErrorNumber) {
    if waits {
      try waiting(.fcntl, file, operation) { (machine) throws(ErrorNumber) in
        try machine.lockRange(file, range, operation)
      }
    } else {
      try perform(.fcntl, .file(file), .operation(operation)) { (machine) throws(ErrorNumber) in
        try machine.lockRange(file, range, operation)
      }
    }
  }

  func isRangeLocked(
    _ file: Descriptor, _ range: Range<Int64>, against operation: LockOperation
  ) throws(ErrorNumber) -> Bool {
    try perform(.fcntl, .file(file), .operation(operation)) { (machine) throws(ErrorNumber) in
      try machine.isRangeLocked(file, range, against: operation)
    }
  }

  /// Asks for a lock again whenever one was given up.
  private func waiting(
    _ call: SimulatedDisk.Call, _ file: Descriptor, _ operation: LockOperation,
    _ body: (inout SimulatedMachine) throws(ErrorNumber) -> Void
  ) throws(ErrorNumber) {
    while true {
      let waiter: ThreadParker? = try perform(call, .file(file), .operation(operation)) {
        (machine) throws(ErrorNumber) in
        do throws(ErrorNumber) {
          try body(&machine)
          return nil
        } catch {
          guard error == .wouldBlock else { throw error }
          let waiter = ThreadParker()
          machine.waiters.append(waiter)
          return waiter
        }
      }
      guard let waiter else { return }
      waiter.sleep()
    }
  }

  // MARK: Names

  func rename(
    _ name: String, in directory: Descriptor?, to newName: String, in newDirectory: Descriptor?,
    _ rule: RenameRule
  ) throws(ErrorNumber) {
    try perform(.rename, .names((name, directory), (newName, newDirectory)), .to(newName)) {
      (machine) throws(ErrorNumber) in
      try machine.rename(name, in: directory, to: newName, in: newDirectory, rule)
    }
  }

  func link(
    _ name: String, in directory: Descriptor?, to newName: String, in newDirectory: Descriptor?
  ) throws(ErrorNumber) {
    try perform(.link, .names((name, directory), (newName, newDirectory)), .to(newName)) {
      (machine) throws(ErrorNumber) in
      try machine.link(name, in: directory, to: newName, in: newDirectory)
    }
  }

  func makeSymbolicLink(
    _ name: String, in directory: Descriptor?, destination: String
  ) throws(ErrorNumber) {
    try perform(.symlink, .name(name, directory), .to(destination)) {
      (machine) throws(ErrorNumber) in
      try machine.makeSymbolicLink(name, in: directory, destination: destination)
    }
  }

  func readLink(_ name: String, in directory: Descriptor?) throws(ErrorNumber) -> String {
    try perform(.readlink, .name(name, directory)) { (machine) throws(ErrorNumber) in
      try machine.readLink(name, in: directory)
    }
  }

  func unlink(_ name: String, in directory: Descriptor?) throws(ErrorNumber) {
    try perform(.unlink, .name(name, directory)) { (machine) throws(ErrorNumber) in
      try machine.unlink(name, in: directory)
    }
  }

  func makeDirectory(
    _ name: String, in directory: Descriptor?, mode: FileMode
  ) throws(ErrorNumber) {
    try perform(.mkdir, .name(name, directory), .mode(mode)) { (machine) throws(ErrorNumber) in
      try machine.makeDirectory(name, in: directory, mode: mode)
    }
  }

  func removeDirectory(_ name: String, in directory: Descriptor?) throws(ErrorNumber) {
    try perform(.rmdir, .name(name, directory)) { (machine) throws(ErrorNumber) in
      try machine.removeDirectory(name, in: directory)
    }
  }

  func entries(of directory: Descriptor) throws(ErrorNumber) -> [String] {
    try perform(.readdir, .file(directory)) { (machine) throws(ErrorNumber) in
      try machine.entries(of: directory)
    }
  }

  // MARK: The process

  /// Another one after each restart.
  var processIdentifier: Int32 { disk.processIdentifier }

  func randomBits() -> UInt64 { disk.machine.withLock { $0.random.next() } }

  var effectiveUser: UInt32? { 0 }
}
