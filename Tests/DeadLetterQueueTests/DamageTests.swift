import ReliabilityIO
import ReliabilityTesting
import Testing

@testable import DeadLetterQueue

/// Records that go bad on the disk while somebody has the letter.
@Suite struct DamageTests {
  /// How a redrive of the letter with the bad record ends.
  enum End: CaseIterable, Sendable {
    case success, failure, cancellation
  }

  private func queue(
    _ disk: SimulatedDisk, _ events: Events,
    _ change: (inout DeadLetterConfiguration) -> Void = { _ in }
  ) async throws -> DeadLetterQueue<Order> {
    var configuration = DeadLetterConfiguration()
    configuration.observer = events.add
    change(&configuration)
    return try await DeadLetterQueue(
      "data/letters", configuration: configuration, fileSystem: disk.fileSystem)
  }

  /// Flips a bit in the record of the letter with this line, the header being line 0.
  private static func damage(_ line: Int, on disk: SimulatedDisk) throws {
    var bytes = try #require(disk.read("data/letters"))
    let ends = bytes.indices.filter { bytes[$0] == 0x0A }
    bytes[ends[line - 1] + 60] ^= 1
    try OpenFile("data/letters", [.write], fileSystem: disk.fileSystem).writeAll(bytes.span, at: 0)
  }

  @Test(arguments: End.allCases, [false, true])
  func aRecordThatGoesBadWhileItIsRedrivenBlocksNothing(end: End, compacts: Bool) async throws {
    let disk = Kept.disk()
    let events = Events()
    let queue = try await queue(disk, events)
    for number in 1...4 { try await queue.add(number) }
    let report = try await queue.redrive(.ids([.init(rawValue: 2)])) { _, _ in
      try Self.damage(2, on: disk)
      if compacts { try await queue.compact() }
      // Neither pages nor other redrives are held up by it.
      #expect(try await queue.numbers() == [1, 3, 4])
      var other = DeadLetter.RedriveOptions()
      other.isDryRun = true
      #expect(try await queue.redrive(.all, options: other) { _, _ in }.succeeded == 3)
      switch end {
      case .success: break
      case .failure: throw Broken()
      case .cancellation: throw CancellationError()
      }
    }
    switch end {
    case .success: #expect(report.succeeded == 1 && queue.statistics.counts.damaged == 0)
    case .failure: #expect(report.failed == 1 && queue.statistics.counts.damaged == 0)
    case .cancellation: #expect(report.cancelled == 1 && queue.statistics.counts.damaged == 1)
    }
    // A redrive that failed has written the letter anew.
    let left = end == .failure ? [1, 2, 3, 4] : [1, 3, 4]
    #expect(try await queue.numbers() == left && queue.count == left.count)
    #expect(events.departed(.damaged) == (end == .cancellation ? [2] : []))
    #expect(queue.statistics.redriving == 0)
    try await queue.compact()
    try await queue.close()
    let again = try await self.queue(disk, Events())
    #expect(try await again.numbers() == left)
  }

  @Test func aBadRecordIsNotCountedAsSpilled() async throws {
    let disk = Kept.disk()
    let events = Events()
    let queue = try await queue(disk, events) {
      $0.capacity = 3
      $0.overflow = .spill(to: "data/archive")
    }
    for number in 1...3 { try await queue.add(number) }
    try Self.damage(1, on: disk)
    try await queue.add(4)
    try await queue.add(5)
    #expect(try await queue.numbers() == [3, 4, 5])
    let counts = queue.statistics.counts
    #expect(counts.spilled == 1 && counts.damaged == 1 && counts.added == 5)
    #expect(events.departed(.spilled) == [2] && events.departed(.damaged) == [1])
    try await queue.close()
    let archive = try await DeadLetterQueue<Order>(
      "data/archive", access: .readOnly, fileSystem: disk.fileSystem)
    #expect(try await archive.numbers() == [2])
  }

  @Test func closingInACancelledTaskClosesAndLosesNothing() async throws {
    let disk = Kept.disk()
    let queue = try await queue(disk, Events()) { $0.overflow = .spill(to: "data/archive") }
    try await queue.add(1)
    let closing = Task {
      while !Task.isCancelled { await Task.yield() }
      try await queue.close()
    }
    closing.cancel()
    try await closing.value
    await #expect(throws: DeadLetterError.self) { try await queue.add(2) }
    let again = try await self.queue(disk, Events())
    #expect(try await again.numbers() == [1])
  }

  @Test func aSpillThatFailsLosesOnlyTheBadRecord() async throws {
    let disk = Kept.disk()
    let events = Events()
    let queue = try await queue(disk, events) {
      $0.capacity = 2
      $0.overflow = .spill(to: "data/missing/archive")
    }
    for number in 1...2 { try await queue.add(number) }
    await #expect(throws: (any Error).self) { try await queue.add(3) }
    #expect(try await queue.numbers() == [1, 2])
    #expect(queue.statistics.counts.spilled == 0 && queue.statistics.counts.damaged == 0)
  }
}
