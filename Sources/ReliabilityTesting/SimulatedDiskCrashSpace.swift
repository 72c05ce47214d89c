/// Every legal state of the medium after a crash at one moment, as points of a small space.
///
/// Each coordinate stands for what is open about one thing: how much of a write is there, whether a truncation is,
/// how many of a directory's last names are not. 0 is "all of it" everywhere, so the origin is the state in which
/// nothing was lost, and the number of other coordinates says how far from it a state is.
struct CrashSpace: Sendable {
  fileprivate enum Axis: Sendable {
    case write(Int, [WriteOutcome])
    case resize(Int)
    /// Changes that reach the medium in order: a value drops so many from the end.
    case chain([Int])

    var count: Int {
      switch self {
      case .write(_, let outcomes): outcomes.count
      case .resize: 2
      case .chain(let changes): changes.count + 1
      }
    }
  }

  let point: CrashPoint
  private let axes: [Axis]
  /// The most steps that several chains or a requirement could make impossible; usually none.
  private let hasTies: Bool
  private let changing: Set<Int>
  /// The number of changes whose every state was enumerated at an earlier moment; 0 for none.
  private let known: Int
  private let isContinuation: Bool
  /// For each axis about a file whose names change: how many names it has.
  private let nameCounts: [NameCount?]

  /// - Parameter earlier: A crash point all of whose states were met before.
  init(_ point: CrashPoint, sectorSize: Int, after earlier: CrashPoint? = nil) {
    self.point = point
    let isContinued =
      earlier.map {
        $0.durableVersion == point.durableVersion && $0.acknowledged == point.acknowledged
          && $0.pending.count < point.pending.count
      } ?? false
    known = isContinued ? earlier?.pending.count ?? 0 : 0
    isContinuation = isContinued
    var axes: [Axis] = []
    var hasTies = false
    var metadata: [Int: Int] = [:]
    var names: [Int: Int] = [:]
    var changing: Set<Int> = []
    for (index, change) in point.pending.enumerated() {
      if change.requires != nil { hasTies = true }
      switch change.effect {
      case .write(let node, let offset, let bytes, _, _):
        changing.insert(node)
        axes.append(
          .write(
            index, WriteOutcome.all(offset: offset, count: bytes.count, sectorSize: sectorSize)))
      case .resize(let node, _, _):
        changing.insert(node)
        axes.append(.resize(index))
      case .metadata(let node, _, _):
        changing.insert(node)
        axes.extendChain(of: node, in: &metadata, index)
      case .names(let changes, _):
        let directories = Set(changes.map(\.directory))
        if directories.count > 1 { hasTies = true }
        for directory in directories.sorted() {
          changing.insert(directory)
          axes.extendChain(of: directory, in: &names, index)
        }
        for change in changes {
          if let node = change.node { changing.insert(node) }
        }
      }
    }
    self.axes = axes
    self.hasTies = hasTies
    self.changing = changing
    let counts = NameCount.all(at: point)
    nameCounts = axes.map { axis in
      let index: Int
      switch axis {
      case .write(let change, _), .resize(let change): index = change
      case .chain(let changes): index = changes[0]
      }
      return point.pending[index].node.flatMap { counts[$0] }
    }
  }

  /// The point at which everything pending has reached the medium.
  var origin: [Int] { [Int](repeating: 0, count: axes.count) }

  /// How many points there are, those that ties make impossible included.
  var count: Int {
    axes.reduce(1) { product, axis in
      let (result, overflow) = product.multipliedReportingOverflow(by: axis.count)
      return overflow ? .max : result
    }
  }

  /// Moves to the next point.
  ///
  /// - Returns: `false` after the last one.
  func advance(_ choice: inout [Int]) -> Bool {
    for index in axes.indices {
      choice[index] += 1
      if choice[index] < axes[index].count { return true }
      choice[index] = 0
    }
    return false
  }

  /// A point by chance: much is whole, much is lost, the rest is anything between.
  func sample(using generator: inout SeededGenerator) -> [Int] {
    axes.map { axis in
      switch generator.next() % 3 {
      case 0: 0
      case 1: axis.count - 1
      default: Int(generator.next() % UInt64(axis.count))
      }
    }
  }

  /// The points that bugs are found at most often: one thing differs from all, or from nothing.
  func corners(limit: Int) -> [[Int]] {
    let nothing = axes.map { $0.count - 1 }
    var result = [origin, nothing]
    for (index, axis) in axes.enumerated() {
      for value in 0..<axis.count {
        if result.count >= limit { return result }
        var choice = origin
        choice[index] = value
        result.append(choice)
        choice = nothing
        choice[index] = value
        result.append(choice)
      }
    }
    return result
  }

  /// What each pending change comes to; `nil` where it is lost.
  ///
  /// `nil` altogether when no crash leaves that, or when another point stands for the same state.
  private func outcomes(_ choice: [Int]) -> [WriteOutcome?]? {
    var result = [WriteOutcome?](repeating: .whole, count: point.pending.count)
    for (axis, value) in zip(axes, choice) {
      switch axis {
      case .write(let index, let all):
        result[index] = all[value] == .prefix(0) ? nil : all[value]
      case .resize(let index):
        if value != 0 { result[index] = nil }
      case .chain(let changes):
        for index in changes.suffix(value) { result[index] = nil }
      }
    }
    if hasTies && !keepsTies(result) { return nil }
    // Without the new changes it is a state of the crash point before.
    if isContinuation, !result[known...].contains(where: { $0 != nil }) { return nil }
    // What is in a file that has no name makes no difference: only the first of these points counts.
    for (axis, names) in nameCounts.enumerated() where choice[axis] != 0 {
      if let names, names.isZero(result) { return nil }
    }
    return result
  }

  private func keepsTies(_ outcomes: [WriteOutcome?]) -> Bool {
    for axis in axes {
      // A step that belongs to two chains was dropped by one of them: what follows it in the other is lost, too.
      guard case .chain(let changes) = axis else { continue }
      var isLost = false
      for index in changes {
        if outcomes[index] == nil { isLost = true } else if isLost { return false }
      }
    }
    for (index, change) in point.pending.enumerated() where outcomes[index] != nil {
      guard let required = change.requires else { continue }
      if let first = point.pending.firstIndex(where: { $0.number == required }),
        outcomes[first] == nil
      {
        return false
      }
    }
    return true
  }

  /// What the medium holds at a point; `nil` when the point does not count.
  func image(_ choice: [Int]) -> SimulatedImage? {
    guard let outcomes = outcomes(choice) else { return nil }
    var image = point.durable
    for (change, outcome) in zip(point.pending, outcomes) {
      if let outcome { image.apply(change.effect, outcome) }
    }
    return image
  }

  /// A hash by which equal states of all moments are known.
  func digest(_ image: SimulatedImage, known: inout [Int: UInt64]) -> UInt64 {
    let content = image.digest(known: &known, changing: changing)
    return content &+ UInt64(point.acknowledged) &* 0x9E37_79B9_7F4A_7C15
  }

  /// How many changes are not whole.
  func differences(_ choice: [Int]) -> Int {
    zip(axes, choice).reduce(0) { total, next in
      if case .chain = next.0 { total + next.1 } else { total + (next.1 == 0 ? 0 : 1) }
    }
  }

  /// What became of each change, one a line.
  func describe(_ choice: [Int]) -> [String] {
    guard let outcomes = outcomes(choice) else { return [] }
    return zip(point.pending, outcomes).map { change, outcome in
      "call \(change.call): \(change.text): \(outcome?.text(of: change) ?? "lost")"
    }
  }
}

/// How many names a file has, as its directories' changes are kept or lost.
private struct NameCount: Sendable {
  var durable: Int
  /// The pending changes that give it a name or take one, and how many.
  var changes: [(index: Int, difference: Int)] = []

  func isZero(_ outcomes: [WriteOutcome?]) -> Bool {
    var count = durable
    for change in changes where outcomes[change.index] != nil { count += change.difference }
    return count == 0
  }

  private struct Place: Hashable {
    var directory: Int
    var name: String
  }

  /// The counts of all files whose names change; a directory's changes are kept in order, so one replay tells.
  static func all(at point: CrashPoint) -> [Int: NameCount] {
    var result: [Int: NameCount] = [:]
    var found: [Place: Int?] = [:]
    func add(_ node: Int?, _ index: Int, _ difference: Int) {
      guard let node else { return }
      result[node, default: NameCount(durable: point.durable[node]?.links ?? 0)].changes.append(
        (index, difference))
    }
    for (index, change) in point.pending.enumerated() {
      guard case .names(let changes, _) = change.effect else { continue }
      for change in changes {
        let place = Place(directory: change.directory, name: change.name)
        let old = found[place] ?? point.durable[change.directory]?.names[change.name]
        add(old, index, -1)
        add(change.node, index, 1)
        found[place] = .some(change.node)
      }
    }
    return result
  }
}

extension [CrashSpace.Axis] {
  fileprivate mutating func extendChain(
    of node: Int, in chains: inout [Int: Int], _ index: Int
  ) {
    guard let axis = chains[node], case .chain(let changes) = self[axis] else {
      chains[node] = count
      append(.chain([index]))
      return
    }
    self[axis] = .chain(changes + [index])
  }
}

extension PendingChange {
  var text: String {
    switch effect {
    case .write(_, let offset, let bytes, _, let failed):
      "write \(bytes.count) bytes at \(offset) of \(path)\(failed ? " (its sync failed)" : "")"
    case .resize(_, let size, _): "cut \(path) to \(size) bytes"
    case .metadata(_, .mode(let mode), _): "mode \(mode) of \(path)"
    case .metadata(_, .owner, _): "owner of \(path)"
    case .metadata(_, .attribute(let name, _), _): "attribute \(name) of \(path)"
    case .metadata(_, .touch, _): "times of \(path)"
    case .names(let changes, _):
      changes.map { $0.node == nil ? "remove the name \($0.name)" : "make the name \($0.name)" }
        .joined(separator: " and ")
    }
  }
}

extension WriteOutcome {
  fileprivate func text(of change: PendingChange) -> String {
    switch self {
    case .whole: "kept"
    case .prefix(let count): "torn: only the first \(count) bytes"
    case .prefixThenZeros(0): "its bytes lost, the size kept: zeros"
    case .prefixThenZeros(let count): "torn: the first \(count) bytes, then zeros"
    case .zeroSector(let range): "torn: bytes \(range) of it are zeros"
    case .garbageSector(let range): "torn: bytes \(range) of it are garbage"
    }
  }
}
