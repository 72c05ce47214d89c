/// Up to where the index knows a log, while records are written and compactions move them.
///
/// A snapshot may stand for all records before a position if the index has taken in each of them. Those being written have
/// no position yet, but each lies behind the end that was known when its writing began: the least of these ends will do.
struct LogLedger: Sendable {
  private(set) var generation: UInt64
  /// The furthest end of a record that is taken in.
  private(set) var end: Int64
  private var writes: [Int: (generation: UInt64, floor: Int64)] = [:]
  private var nextWrite = 0
  private var last: AppendLog.Compaction?

  init(_ position: AppendLog.Position) {
    generation = position.generation
    end = position.offset
  }

  /// A write begins.
  mutating func begin() -> Int {
    nextWrite += 1
    writes[nextWrite] = (generation, end)
    return nextWrite
  }

  /// A write ended, and the index has taken it in, or it failed.
  mutating func finish(_ write: Int, _ receipt: AppendLog.Receipt?) {
    writes[write] = nil
    if let receipt { reach(receipt.end) }
  }

  mutating func reach(_ position: AppendLog.Position) {
    let position = translate(position)
    if position.generation == generation { end = max(end, position.offset) }
  }

  /// Up to where a snapshot may stand for the records; `nil` while a write of an older generation is under way.
  var compactablePosition: AppendLog.Position? {
    var floor = end
    for write in writes.values {
      if write.generation != generation { return nil }
      floor = min(floor, write.floor)
    }
    return AppendLog.Position(generation: generation, offset: floor)
  }

  /// A position as it is after the last compaction; one of a compaction that is not taken in yet stays.
  func translate(_ position: AppendLog.Position) -> AppendLog.Position {
    guard position.generation != generation, let last else { return position }
    return last.translate(position) ?? position
  }

  mutating func adopt(_ compaction: AppendLog.Compaction) {
    last = compaction
    let oldEnd = AppendLog.Position(generation: generation, offset: end)
    generation = compaction.generation
    end = compaction.translate(oldEnd)?.offset ?? compaction.snapshotEnd.offset
    for (write, state) in writes {
      let floor = AppendLog.Position(
        generation: compaction.replacedUpTo.generation, offset: state.floor)
      writes[write]?.floor =
        compaction.translate(floor)?.offset ?? compaction.snapshotEnd.offset
    }
  }
}
