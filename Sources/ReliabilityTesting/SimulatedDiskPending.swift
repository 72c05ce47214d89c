/// A change that programs see and the medium does not have yet.
struct PendingChange: Sendable {
  enum Effect: Sendable {
    /// `failed`: a sync of it failed, so the kernel believes it is done and no later sync writes it.
    case write(node: Int, offset: Int, bytes: [UInt8], time: Int64, failed: Bool)
    case resize(node: Int, size: Int, time: Int64)
    case metadata(node: Int, MetadataChange, time: Int64)
    /// One step of a directory: all of these or none.
    case names([NameChange], time: Int64)
  }

  /// Counts the changes of a disk.
  var number: Int
  /// The number of the call that made it.
  var call: Int
  var effect: Effect
  /// The number of a change that is never later than this one on the medium.
  var requires: Int?
  /// Where, for people.
  var path: String

  /// The file whose content or metadata it changes; `nil` for names.
  var node: Int? {
    switch effect {
    case .write(let node, _, _, _, _), .resize(let node, _, _), .metadata(let node, _, _): node
    case .names: nil
    }
  }

  var isMetadata: Bool {
    if case .metadata = effect { true } else { false }
  }
}

struct NameChange: Sendable {
  var directory: Int
  var name: String
  /// What the name leads to afterwards; `nil` removes it.
  var node: Int?
}

enum MetadataChange: Sendable {
  case mode(FileMode)
  case owner(user: UInt32, group: UInt32, mode: FileMode)
  case attribute(String, [UInt8]?)
  case touch
}

/// How much of a write a crash left.
enum WriteOutcome: Sendable, Hashable {
  case whole
  /// The first bytes, up to a border of a sector; 0 is nothing at all.
  case prefix(Int)
  /// The first bytes; the size of the whole, and zeros for what the file did not have before.
  case prefixThenZeros(Int)
  /// All but one sector, which reads as zeros.
  case zeroSector(Range<Int>)
  /// All but one sector, which reads as bytes that nobody wrote.
  case garbageSector(Range<Int>)

  /// Neither valid UTF-8 nor zero.
  static let garbage: UInt8 = 0xA5

  /// All legal outcomes of a write, the whole one first and nothing at all last.
  static func all(offset: Int, count: Int, sectorSize: Int) -> [WriteOutcome] {
    var borders: [Int] = [0]
    var next = sectorSize - offset % sectorSize
    while next < count {
      borders.append(next)
      next += sectorSize
    }
    var outcomes: [WriteOutcome] = [.whole]
    for (index, start) in borders.enumerated() {
      let end = index + 1 < borders.count ? borders[index + 1] : count
      outcomes.append(.zeroSector(start..<end))
      outcomes.append(.garbageSector(start..<end))
    }
    for border in borders.reversed() {
      outcomes.append(.prefixThenZeros(border))
      outcomes.append(.prefix(border))
    }
    return outcomes
  }
}
