/// Finding, making and removing names.
extension SimulatedMachine {
  /// Where a path leads: the directory of its last component, that component, and what is there.
  struct Place {
    var directory: Int
    var name: String
    var node: Int?
    /// The path ends with a slash, so only a directory will do.
    var wantsDirectory: Bool

    /// Whether the last component can't be a new name.
    var isDots: Bool { name == "." || name == ".." || name.isEmpty }
  }

  static let maximumName = 255
  static let maximumPath = 4096
  static let maximumLinks = 40

  func node(_ number: Int) throws(ErrorNumber) -> SimulatedNode {
    guard let node = visible[number] else { throw .notFound }
    return node
  }

  func start(_ directory: Descriptor?) throws(ErrorNumber) -> Int {
    guard let directory else { return SimulatedImage.root }
    return try description(directory).node
  }

  /// Follows a path up to its last component, and that one, too, where asked.
  func place(
    _ path: String, in directory: Descriptor?, following: Bool
  ) throws(ErrorNumber) -> Place {
    if path.utf8.contains(0) { throw .illegalByteSequence }
    if path.isEmpty { throw .notFound }
    if path.utf8.count >= Self.maximumPath { throw .nameTooLong }
    let isAbsolute = path.utf8.first == UInt8(ascii: "/")
    var current = isAbsolute ? SimulatedImage.root : try start(directory)
    var wantsDirectory = path.utf8.last == UInt8(ascii: "/")
    var waiting = components(path)
    var links = 0
    if waiting.isEmpty {
      return Place(directory: current, name: "", node: current, wantsDirectory: true)
    }
    while let name = waiting.popLast() {
      if name.utf8.count > Self.maximumName { throw .nameTooLong }
      let here = try node(current)
      if here.kind != .directory { throw .notADirectory }
      let isLast = waiting.isEmpty
      let next: Int? =
        switch name {
        case ".": current
        case "..": here.parent
        default: here.names[name]
        }
      if let next, let found = visible[next], found.kind == .symbolicLink,
        !isLast || following || wantsDirectory
      {
        links += 1
        if links > Self.maximumLinks { throw .symbolicLinkLoop }
        if isLast, found.destination.utf8.last == UInt8(ascii: "/") { wantsDirectory = true }
        waiting += components(found.destination)
        if found.destination.utf8.first == UInt8(ascii: "/") { current = SimulatedImage.root }
        if waiting.isEmpty {
          return Place(directory: current, name: "", node: current, wantsDirectory: true)
        }
        continue
      }
      if isLast {
        if wantsDirectory, let next, visible[next]?.kind != .directory { throw .notADirectory }
        return Place(directory: current, name: name, node: next, wantsDirectory: wantsDirectory)
      }
      guard let next else { throw .notFound }
      current = next
    }
    throw .notFound
  }

  /// The components, the last one first.
  private func components(_ path: String) -> [String] {
    if !path.utf8.contains(UInt8(ascii: "/")) { return [path] }
    return path.split(separator: "/").reversed().map(String.init)
  }

  /// What a path leads to, which must exist.
  func existing(
    _ path: String, in directory: Descriptor?, following: Bool
  ) throws(ErrorNumber) -> Int {
    guard let node = try place(path, in: directory, following: following).node else {
      throw .notFound
    }
    return node
  }

  /// A directory can be removed while it is open; then nothing can be made in it.
  func requireLive(_ directory: Int) throws(ErrorNumber) {
    if try node(directory).links == 0 { throw .notFound }
  }

  mutating func bind(
    _ node: Int, _ place: Place, path: String
  ) throws(ErrorNumber) {
    try requireLive(place.directory)
    let change = NameChange(directory: place.directory, name: place.name, node: node)
    self.change(.names([change], time: now), path: path)
  }

  // MARK: Calls

  mutating func link(
    _ name: String, in directory: Descriptor?, to newName: String, in newDirectory: Descriptor?
  ) throws(ErrorNumber) {
    if newName.utf8.contains(0) { throw .illegalByteSequence }
    let old = try existing(name, in: directory, following: false)
    let new = try place(newName, in: newDirectory, following: false)
    if new.node != nil { throw .exists }
    if new.wantsDirectory { throw .notFound }
    if try node(old).kind == .directory { throw .notPermitted }
    try bind(old, new, path: describe(newName, in: newDirectory))
  }

  mutating func makeSymbolicLink(
    _ name: String, in directory: Descriptor?, destination: String
  ) throws(ErrorNumber) {
    if destination.utf8.contains(0) { throw .illegalByteSequence }
    if destination.isEmpty { throw .notFound }
    if destination.utf8.count >= Self.maximumPath { throw .nameTooLong }
    let new = try place(name, in: directory, following: false)
    if new.node != nil { throw .exists }
    if new.wantsDirectory { throw .notFound }
    try requireLive(new.directory)
    let link = makeNode(.symbolicLink, mode: 0o777, destination: destination)
    try bind(link, new, path: describe(name, in: directory))
  }

  func readLink(_ name: String, in directory: Descriptor?) throws(ErrorNumber) -> String {
    let found = try node(existing(name, in: directory, following: false))
    if found.kind != .symbolicLink { throw .invalidArgument }
    return found.destination
  }

  mutating func makeDirectory(
    _ name: String, in directory: Descriptor?, mode: FileMode
  ) throws(ErrorNumber) {
    let new = try place(name, in: directory, following: false)
    if new.node != nil { throw .exists }
    try requireLive(new.directory)
    let masked = FileMode(rawValue: mode.rawValue & 0o1777 & ~configuration.umask.rawValue)
    let made = makeNode(.directory, mode: masked)
    try bind(made, new, path: describe(name, in: directory))
  }

  mutating func removeDirectory(_ name: String, in directory: Descriptor?) throws(ErrorNumber) {
    let old = try place(name, in: directory, following: false)
    guard let number = old.node else { throw .notFound }
    if old.name.isEmpty { throw .busy }
    if old.name == "." { throw .invalidArgument }
    if old.name == ".." { throw .directoryNotEmpty }
    let found = try node(number)
    if found.kind != .directory { throw .notADirectory }
    if !found.names.isEmpty { throw .directoryNotEmpty }
    remove(old, path: describe(name, in: directory))
    release(number)
  }

  mutating func unlink(_ name: String, in directory: Descriptor?) throws(ErrorNumber) {
    let old = try place(name, in: directory, following: false)
    guard let number = old.node else { throw .notFound }
    if try node(number).kind == .directory { throw .isADirectory }
    remove(old, path: describe(name, in: directory))
    release(number)
  }

  private mutating func remove(_ place: Place, path: String) {
    let change = NameChange(directory: place.directory, name: place.name, node: nil)
    self.change(.names([change], time: now), path: path)
  }

  func entries(of directory: Descriptor) throws(ErrorNumber) -> [String] {
    let found = try node(description(directory).node)
    if found.kind != .directory { throw .notADirectory }
    return Array(found.names.keys)
  }

  /// A name as a person would write it, from the root of the disk.
  func describe(_ name: String, in directory: Descriptor?) -> String {
    guard let directory, name.utf8.first != UInt8(ascii: "/"),
      let base = descriptors[directory.rawValue].flatMap({ descriptions[$0] })
    else { return name }
    return joinPath(base.path, name)
  }
}
