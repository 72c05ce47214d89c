/// Modes, owners, attributes and locks.
extension SimulatedMachine {
  func status(_ number: Int) throws(ErrorNumber) -> FileStatus {
    let node = try node(number)
    let size: Int
    var links = node.links
    switch node.kind {
    case .directory:
      size = 4096
      if links > 0 { links = 2 + node.names.values.count { visible[$0]?.kind == .directory } }
    case .symbolicLink: size = node.destination.utf8.count
    default: size = node.bytes.count
    }
    return FileStatus(
      kind: node.kind, mode: node.mode, size: Int64(size), links: links, user: node.user,
      group: node.group, device: device, inode: UInt64(number), modified: node.modified,
      changed: node.changed)
  }

  mutating func changeMetadata(
    _ file: Descriptor, _ change: MetadataChange
  ) throws(ErrorNumber) {
    let description = try usable(file)
    self.change(
      .metadata(node: description.node, change, time: now), path: description.path)
  }

  mutating func setOwner(
    _ file: Descriptor, user: UInt32?, group: UInt32?
  ) throws(ErrorNumber) {
    let node = try node(usable(file).node)
    var bits = node.mode.rawValue
    if node.kind != .directory {
      // A program that runs as its owner must not do so for the next owner.
      bits &= ~0o4000
      if bits & 0o010 != 0 { bits &= ~0o2000 }
    }
    try changeMetadata(
      file,
      .owner(
        user: user ?? node.user, group: group ?? node.group, mode: FileMode(rawValue: bits)))
  }

  // MARK: Attributes

  static let maximumAttribute = 65_536

  private func checkAttributeName(_ name: String) throws(ErrorNumber) {
    if name.utf8.contains(0) { throw .illegalByteSequence }
    if name.isEmpty || name.utf8.count > Self.maximumName { throw .outOfRange }
    for prefix in ["user.", "trusted.", "security."] where name.hasPrefix(prefix) {
      if name.utf8.count == prefix.utf8.count { throw .invalidArgument }
      return
    }
    throw .notSupported
  }

  func attribute(_ file: Descriptor, _ name: String) throws(ErrorNumber) -> [UInt8] {
    let description = try usable(file)
    try checkAttributeName(name)
    guard let value = try node(description.node).attributes[name] else { throw .noAttribute }
    return value
  }

  mutating func setAttribute(
    _ file: Descriptor, _ name: String, _ value: [UInt8]
  ) throws(ErrorNumber) {
    _ = try usable(file)
    try checkAttributeName(name)
    if value.count > Self.maximumAttribute { throw .noSpace }
    try changeMetadata(file, .attribute(name, value))
  }

  mutating func removeAttribute(_ file: Descriptor, _ name: String) throws(ErrorNumber) {
    _ = try attribute(file, name)
    try changeMetadata(file, .attribute(name, nil))
  }

  // MARK: Locks

  /// Whole-file locks belong to the open file description.
  ///
  /// Changing from shared to exclusive gives the first up before it asks for the second, as the kernel does: when
  /// that fails, neither is held.
  mutating func lock(_ file: Descriptor, _ operation: LockOperation) throws(ErrorNumber) {
    let description = try usable(file)
    guard let owner = descriptors[file.rawValue] else { throw .badDescriptor }
    let node = description.node
    if fileLocks[node]?[owner] == operation { return }
    if fileLocks[node]?.removeValue(forKey: owner) != nil { wakeWaiters() }
    if operation == .unlock { return }
    let others = fileLocks[node] ?? [:]
    if others.values.contains(where: { $0 == .exclusive || operation == .exclusive }) {
      throw .wouldBlock
    }
    fileLocks[node, default: [:]][owner] = operation
  }

  mutating func lockRange(
    _ file: Descriptor, _ range: Range<Int64>, _ operation: LockOperation
  ) throws(ErrorNumber) {
    let description = try usable(file)
    guard let owner = descriptors[file.rawValue] else { throw .badDescriptor }
    let range = try closed(range)
    let flags = description.flags
    let isReadable = flags.contains(.read) || !flags.contains(.write)
    if operation == .shared && !isReadable { throw .badDescriptor }
    if operation == .exclusive && !flags.contains(.write) { throw .badDescriptor }
    if operation != .unlock, conflict(description.node, owner, range, operation) {
      throw .wouldBlock
    }
    var locks: [RangeLock] = []
    for lock in rangeLocks[description.node] ?? [] {
      guard lock.owner == owner, lock.range.overlaps(range) else {
        locks.append(lock)
        continue
      }
      if lock.range.lowerBound < range.lowerBound {
        let before = lock.range.lowerBound..<range.lowerBound
        locks.append(RangeLock(owner: owner, range: before, operation: lock.operation))
      }
      if lock.range.upperBound > range.upperBound {
        let after = range.upperBound..<lock.range.upperBound
        locks.append(RangeLock(owner: owner, range: after, operation: lock.operation))
      }
    }
    if operation != .unlock {
      locks.append(RangeLock(owner: owner, range: range, operation: operation))
    }
    rangeLocks[description.node] = locks
    if operation != .exclusive { wakeWaiters() }
  }

  func isRangeLocked(
    _ file: Descriptor, _ range: Range<Int64>, against operation: LockOperation
  ) throws(ErrorNumber) -> Bool {
    let description = try usable(file)
    guard let owner = descriptors[file.rawValue] else { throw .badDescriptor }
    if operation == .unlock { throw .invalidArgument }
    return conflict(description.node, owner, try closed(range), operation)
  }

  /// An empty range reaches to the end, whatever that will be.
  private func closed(_ range: Range<Int64>) throws(ErrorNumber) -> Range<Int64> {
    if range.lowerBound < 0 { throw .invalidArgument }
    return range.isEmpty ? range.lowerBound..<Int64.max : range
  }

  private func conflict(
    _ node: Int, _ owner: Int, _ range: Range<Int64>, _ operation: LockOperation
  ) -> Bool {
    (rangeLocks[node] ?? []).contains { lock in
      lock.owner != owner && lock.range.overlaps(range)
        && (lock.operation == .exclusive || operation == .exclusive)
    }
  }

  mutating func releaseLocks(of owner: Int, on node: Int) {
    fileLocks[node]?[owner] = nil
    if fileLocks[node]?.isEmpty == true { fileLocks[node] = nil }
    rangeLocks[node]?.removeAll { $0.owner == owner }
    if rangeLocks[node]?.isEmpty == true { rangeLocks[node] = nil }
    wakeWaiters()
  }

  private mutating func wakeWaiters() {
    wakeable += waiters
    waiters = []
  }
}
