/// Opening, reading, writing and syncing.
extension SimulatedMachine {
  func description(_ file: Descriptor) throws(ErrorNumber) -> OpenDescription {
    guard let number = descriptors[file.rawValue], let found = descriptions[number] else {
      throw .badDescriptor
    }
    return found
  }

  /// As ``description(_:)``, but not for what was opened by name only.
  func usable(_ file: Descriptor) throws(ErrorNumber) -> OpenDescription {
    let found = try description(file)
    if found.flags.contains(.nameOnly) { throw .badDescriptor }
    return found
  }

  mutating func open(
    _ name: String, in directory: Descriptor?, _ flags: OpenFlags, mode: FileMode
  ) throws(ErrorNumber) -> Descriptor {
    let isNameOnly = flags.contains(.nameOnly)
    let creates = flags.contains(.create) && !isNameOnly
    if creates && flags.contains(.directory) { throw .invalidArgument }
    let isExclusive = creates && flags.contains(.exclusive)
    let follows = !flags.contains(.noFollow) && !isExclusive
    let place = try place(name, in: directory, follows ? .followed : .kept, creates: creates)
    let number: Int
    if let existing = place.node {
      if isExclusive { throw .exists }
      try checkOpening(existing, flags, creates: creates, isNameOnly: isNameOnly)
      number = existing
    } else {
      guard creates else { throw .notFound }
      if place.wantsDirectory { throw .isADirectory }
      try requireLive(place.directory)
      let masked = FileMode(rawValue: mode.rawValue & ~configuration.umask.rawValue)
      number = makeNode(.regular, mode: masked, in: place.directory)
      try bind(number, place, path: describe(name, in: directory))
    }
    let description = nextDescription
    nextDescription += 1
    descriptions[description] = OpenDescription(
      node: number, flags: flags, path: describe(name, in: directory))
    return add(description)
  }

  private func checkOpening(
    _ number: Int, _ flags: OpenFlags, creates: Bool, isNameOnly: Bool
  ) throws(ErrorNumber) {
    let found = try node(number)
    if found.kind == .symbolicLink {
      if flags.contains(.directory) { throw .notADirectory }
      if !isNameOnly { throw .symbolicLinkLoop }
    }
    if found.kind == .directory {
      if creates || (flags.contains(.write) && !isNameOnly) { throw .isADirectory }
    } else if flags.contains(.directory) {
      throw .notADirectory
    }
  }

  private mutating func add(_ description: Int) -> Descriptor {
    let number = nextDescriptor
    nextDescriptor += 1
    descriptors[number] = description
    return Descriptor(rawValue: number)
  }

  mutating func duplicate(_ file: Descriptor) throws(ErrorNumber) -> Descriptor {
    guard let number = descriptors[file.rawValue] else { throw .badDescriptor }
    descriptions[number]?.references += 1
    return add(number)
  }

  mutating func close(_ file: Descriptor) throws(ErrorNumber) {
    guard let number = descriptors.removeValue(forKey: file.rawValue) else { throw .badDescriptor }
    descriptions[number]?.references -= 1
    guard let description = descriptions[number], description.references == 0 else { return }
    descriptions[number] = nil
    releaseLocks(of: number, on: description.node)
    release(description.node)
  }

  /// The bytes to give, and moves the position.
  mutating func read(
    _ file: Descriptor, atMost count: Int, at offset: Int64?
  ) throws(ErrorNumber) -> ArraySlice<UInt8> {
    let description = try usable(file)
    let isWriteOnly = description.flags.contains(.write) && !description.flags.contains(.read)
    if isWriteOnly { throw .badDescriptor }
    if let offset, offset < 0 { throw .invalidArgument }
    let node = try node(description.node)
    if node.kind == .directory { throw .isADirectory }
    let start = min(offset.map { Int($0) } ?? description.position, node.bytes.count)
    let end = min(start + count, node.bytes.count)
    if offset == nil, let number = descriptors[file.rawValue] {
      descriptions[number]?.position = max(description.position, end)
    }
    return node.bytes[start..<end]
  }

  mutating func write(
    _ file: Descriptor, _ bytes: [UInt8], at offset: Int64?
  ) throws(ErrorNumber) -> Int {
    let description = try usable(file)
    guard description.flags.contains(.write) else { throw .badDescriptor }
    if let offset, offset < 0 { throw .invalidArgument }
    if bytes.isEmpty { return 0 }
    let size = try node(description.node).bytes.count
    let start =
      description.flags.contains(.append) ? size : offset.map { Int($0) } ?? description.position
    let limit = configuration.maximumFileSize
    if start >= limit { throw .fileTooLarge }
    var count = min(bytes.count, limit - start)
    if let capacity = configuration.capacity, !configuration.allocatesLate {
      let growth = start + count - max(size, 0)
      let free = max(0, capacity - used)
      if growth > free { count = max(0, size + free - start) }
      if count == 0 { throw configuration.fullDiskError }
    }
    let kept = count == bytes.count ? bytes : Array(bytes[..<count])
    change(
      .write(node: description.node, offset: start, bytes: kept, time: now, failed: false),
      path: description.path)
    if offset == nil, let number = descriptors[file.rawValue] {
      descriptions[number]?.position = start + count
    }
    return count
  }

  mutating func truncate(_ file: Descriptor, to size: Int64) throws(ErrorNumber) {
    if size < 0 { throw .invalidArgument }
    let description = try usable(file)
    let node = try node(description.node)
    guard node.kind == .regular, description.flags.contains(.write) else { throw .invalidArgument }
    if size > Int64(configuration.maximumFileSize) { throw .fileTooLarge }
    change(
      .resize(node: description.node, size: Int(size), time: now), path: description.path)
  }

  /// The bytes of all files.
  private var used: Int { visible.nodes.values.reduce(0) { $0 + $1.bytes.count } }

  // MARK: Syncing

  mutating func sync(_ file: Descriptor, _ kind: SyncKind) throws(ErrorNumber) {
    let node = try usable(file).node
    if pending.isEmpty { return }
    if let capacity = configuration.capacity, configuration.allocatesLate,
      pending.contains(where: { isUnfailedWrite($0, to: node) })
    {
      let others = durable.nodes.reduce(0) { $0 + ($1.key == node ? 0 : $1.value.bytes.count) }
      if others + (visible[node]?.bytes.count ?? 0) > capacity {
        failSync(of: node)
        throw configuration.fullDiskError
      }
    }
    persistContents(of: node, withMetadata: kind != .data)
    if visible[node]?.kind == .directory { persistNames(of: node) }
  }

  private func isUnfailedWrite(_ change: PendingChange, to node: Int) -> Bool {
    if case .write(node, _, _, _, false) = change.effect { true } else { false }
  }

  /// What Linux does when a sync fails: the pages count as clean from now on, so no later sync writes them.
  mutating func failSync(of node: Int) {
    for index in pending.indices {
      guard case .write(node, let offset, let bytes, let time, false) = pending[index].effect else {
        continue
      }
      pending[index].effect = .write(
        node: node, offset: offset, bytes: bytes, time: time, failed: true)
      version += 1
      durableVersion += 1
    }
  }

  private mutating func persistContents(of node: Int, withMetadata: Bool) {
    var rest: [PendingChange] = []
    for change in pending {
      guard change.node == node, withMetadata || !change.isMetadata else {
        rest.append(change)
        continue
      }
      // The size is the journal's business and survives; the bytes were dropped by the sync that failed.
      let isLost = if case .write(_, _, _, _, true) = change.effect { true } else { false }
      durable.apply(change.effect, isLost ? .prefixThenZeros(0) : .whole)
    }
    if rest.count == pending.count { return }
    version += 1
    durableVersion += 1
    pending = rest
  }

  /// Makes a directory's names durable, and what can't be later than these.
  private mutating func persistNames(of directory: Int) {
    // The last change of each directory that must be on the medium.
    var limits = [directory: Int.max]
    var isKept = [Bool](repeating: false, count: pending.count)
    for index in pending.indices.reversed() {
      guard case .names(let changes, _) = pending[index].effect else { continue }
      let number = pending[index].number
      guard changes.contains(where: { number <= limits[$0.directory] ?? 0 }) else { continue }
      isKept[index] = true
      for change in changes {
        limits[change.directory] = max(limits[change.directory] ?? 0, number)
      }
      if let required = pending[index].requires,
        let first = pending.first(where: { $0.number == required }),
        case .names(let others, _) = first.effect
      {
        for other in others {
          limits[other.directory] = max(limits[other.directory] ?? 0, required)
        }
      }
    }
    guard isKept.contains(true) else { return }
    version += 1
    durableVersion += 1
    var rest: [PendingChange] = []
    var unnamed: [Int] = []
    for (change, isKept) in zip(pending, isKept) {
      guard isKept, case .names(let changes, _) = change.effect else {
        rest.append(change)
        continue
      }
      for name in changes { unnamed.append(contentsOf: durableNode(name)) }
      durable.apply(change.effect)
    }
    pending = rest
    for node in unnamed where visible[node] == nil && durable[node]?.links == 0 {
      if isNamedByPending(node) { continue }
      durable.remove(node)
      pending.removeAll { $0.node == node }
    }
  }

  private func durableNode(_ change: NameChange) -> [Int] {
    durable[change.directory]?.names[change.name].map { [$0] } ?? []
  }
}
