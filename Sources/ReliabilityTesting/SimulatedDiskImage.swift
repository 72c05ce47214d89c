/// A file, directory or symbolic link of a simulated disk.
struct SimulatedNode: Sendable {
  var kind: FileStatus.Kind
  var mode: FileMode
  var user: UInt32 = 0
  var group: UInt32 = 0
  var modified: Int64
  var changed: Int64
  /// How many names lead here.
  var links = 0
  /// A directory's own directory.
  var parent = SimulatedImage.root
  var bytes: [UInt8] = []
  var names: [String: Int] = [:]
  var destination = ""
  var attributes: [String: [UInt8]] = [:]

  init(_ kind: FileStatus.Kind, mode: FileMode, now: Int64) {
    self.kind = kind
    self.mode = mode
    (modified, changed) = (now, now)
  }
}

/// Everything a simulated disk holds at one moment: what programs see, or what a crash would leave.
///
/// A value: a copy shares every byte until one of the two changes, so that thousands of states of one disk cost
/// little more than their differences.
struct SimulatedImage: Sendable {
  static let root = 1

  private(set) var nodes: [Int: SimulatedNode]

  init(now: Int64) {
    nodes = [SimulatedImage.root: SimulatedNode(.directory, mode: 0o755, now: now)]
    nodes[SimulatedImage.root]?.links = 1
  }

  subscript(_ node: Int) -> SimulatedNode? { nodes[node] }

  mutating func add(_ number: Int, _ node: SimulatedNode) { nodes[number] = node }

  mutating func remove(_ number: Int) { nodes[number] = nil }

  /// Makes one change, whole or as a crash may leave it.
  mutating func apply(_ effect: PendingChange.Effect, _ outcome: WriteOutcome = .whole) {
    switch effect {
    case .write(let node, let offset, let bytes, let time, _):
      write(bytes, to: node, at: offset, outcome)
      nodes[node]?.modified = time
      nodes[node]?.changed = time
    case .resize(let node, let size, let time):
      resize(node, to: size)
      nodes[node]?.modified = time
      nodes[node]?.changed = time
    case .metadata(let node, let change, let time):
      nodes[node]?.apply(change, time)
    case .names(let changes, let time):
      for change in changes { set(change, time) }
    }
  }

  private mutating func set(_ change: NameChange, _ time: Int64) {
    if let old = nodes[change.directory]?.names[change.name] {
      nodes[old]?.links -= 1
      nodes[old]?.changed = time
    }
    nodes[change.directory]?.names[change.name] = change.node
    nodes[change.directory]?.modified = time
    nodes[change.directory]?.changed = time
    if let node = change.node {
      nodes[node]?.links += 1
      nodes[node]?.changed = time
      nodes[node]?.parent = change.directory
    }
  }

  private mutating func write(
    _ bytes: [UInt8], to node: Int, at offset: Int, _ outcome: WriteOutcome
  ) {
    switch outcome {
    case .whole:
      overlay(bytes[...], on: node, at: offset)
    case .prefix(let count):
      overlay(bytes[..<count], on: node, at: offset)
    case .prefixThenZeros(let count):
      overlay(bytes[..<count], on: node, at: offset)
      let size = offset + bytes.count
      if size > nodes[node]?.bytes.count ?? size { resize(node, to: size) }
    case .zeroSector(let range):
      overlay(bytes[...], on: node, at: offset)
      let zeros = [UInt8](repeating: 0, count: range.count)
      overlay(zeros[...], on: node, at: offset + range.lowerBound)
    case .garbageSector(let range):
      overlay(bytes[...], on: node, at: offset)
      let garbage = [UInt8](repeating: WriteOutcome.garbage, count: range.count)
      overlay(garbage[...], on: node, at: offset + range.lowerBound)
    }
  }

  private mutating func overlay(_ bytes: ArraySlice<UInt8>, on node: Int, at offset: Int) {
    nodes[node]?.bytes.overlay(bytes, at: offset)
  }

  private mutating func resize(_ node: Int, to size: Int) {
    nodes[node]?.bytes.resize(to: size)
  }

  /// The same tree as a disk that starts with it would have it: nothing that no name leads to, counts and parents
  /// right.
  func settled() -> SimulatedImage {
    var result = self
    result.nodes = [:]
    result.nodes.reserveCapacity(nodes.count)
    var waiting = [SimulatedImage.root]
    if var root = nodes[SimulatedImage.root] {
      root.links = 1
      result.nodes[SimulatedImage.root] = root
    }
    while let directory = waiting.popLast() {
      for (name, child) in nodes[directory]?.names ?? [:] {
        if let known = result.nodes[child] {
          if known.kind == .directory {
            // Two names for one directory: no file system keeps that.
            result.nodes[directory]?.names[name] = nil
          } else {
            result.nodes[child]?.links += 1
          }
        } else if var node = nodes[child] {
          node.links = 1
          node.parent = directory
          result.nodes[child] = node
          if node.kind == .directory { waiting.append(child) }
        }
      }
    }
    return result
  }

  /// A number that two states share when every name leads to the same content with the same metadata.
  ///
  /// - Parameters:
  ///   - known: Hashes of nodes that are the same in all states compared; filled as they are met.
  ///   - changing: The nodes that differ between these states.
  func digest(known: inout [Int: UInt64], changing: Set<Int>) -> UInt64 {
    var total: UInt64 = 0
    var visited: Set<Int> = [SimulatedImage.root]
    var waiting = [SimulatedImage.root]
    while let number = waiting.popLast() {
      guard let node = nodes[number] else { continue }
      if let hash = known[number] {
        total &+= hash
      } else {
        let hash = node.hash(number)
        if !changing.contains(number) { known[number] = hash }
        total &+= hash
      }
      for child in node.names.values where visited.insert(child).inserted { waiting.append(child) }
    }
    return total
  }
}

extension SimulatedNode {
  mutating func apply(_ change: MetadataChange, _ time: Int64) {
    switch change {
    case .mode(let mode): self.mode = mode
    case .owner(let user, let group, let mode):
      (self.user, self.group, self.mode) = (user, group, mode)
    case .attribute(let name, let value): attributes[name] = value
    case .touch: modified = time
    }
    changed = time
  }

  fileprivate func hash(_ number: Int) -> UInt64 {
    var hasher = Hasher()
    hasher.combine(number)
    hasher.combine(mode)
    hasher.combine(user)
    hasher.combine(group)
    hasher.combine(modified)
    unsafe bytes.withUnsafeBytes { bytes in unsafe hasher.combine(bytes: bytes) }
    if kind == .symbolicLink { hasher.combine(destination) }
    if !names.isEmpty { hasher.combine(names) }
    if !attributes.isEmpty { hasher.combine(attributes) }
    return UInt64(bitPattern: Int64(hasher.finalize()))
  }
}

extension [UInt8] {
  mutating func overlay(_ new: ArraySlice<UInt8>, at offset: Int) {
    if new.isEmpty { return }
    if offset >= count {
      if offset > count { append(contentsOf: repeatElement(0, count: offset - count)) }
      append(contentsOf: new)
    } else {
      let end = Swift.min(offset + new.count, count)
      replaceSubrange(offset..<end, with: new)
    }
  }

  mutating func resize(to size: Int) {
    if size < count {
      removeLast(count - size)
    } else if size > count {
      append(contentsOf: repeatElement(0, count: size - count))
    }
  }
}

extension Span<UInt8> {
  /// The bytes as an array, in one step also where nothing is optimized.
  var copied: [UInt8] { unsafe withUnsafeBufferPointer { unsafe [UInt8]($0) } }
}

extension OutputSpan<UInt8> {
  /// Adds bytes that fit, in one step also where nothing is optimized.
  mutating func append(copyOf bytes: ArraySlice<UInt8>) {
    unsafe withUnsafeMutableBufferPointer { buffer, count in
      let free = unsafe UnsafeMutableBufferPointer(rebasing: buffer[count...])
      _ = unsafe free.update(fromContentsOf: bytes)
      count += bytes.count
    }
  }
}
