import ReliabilityIO
import ReliabilityTesting
import Testing

@testable import DeadLetterQueue

/// A disk that takes nothing more, at every step.
@Suite struct FullDiskTests {
  private func queue(
    _ disk: SimulatedDisk, _ configuration: DeadLetterConfiguration = .init()
  ) async throws -> DeadLetterQueue<Order> {
    let queue = try await Kept.onDisk.queue(configuration, on: disk)
    for number in 1...4 { try await queue.add(number) }
    return queue
  }

  private func expectWhole(
    _ queue: DeadLetterQueue<Order>, _ disk: SimulatedDisk, _ numbers: [Int]
  ) async throws {
    disk.clearFaults()
    #expect(try await queue.numbers() == numbers)
    try await queue.add(9)
    try await queue.close()
    let again = try await Kept.onDisk.queue(on: disk)
    #expect(try await again.numbers() == numbers + [9])
  }

  @Test func anAddFailsWithThePathAndNothingElse() async throws {
    let disk = Kept.disk()
    let queue = try await queue(disk)
    disk.fail(.write, on: "letters", at: 1, with: .noSpace, persistently: true)
    for _ in 1...3 {
      let error = await #expect(throws: StoreError.self) { try await queue.add(5) }
      #expect(error?.code == .outOfSpace && error?.path.hasSuffix("data/letters") == true)
    }
    #expect(queue.count == 4 && queue.statistics.counts.added == 4)
    try await expectWhole(queue, disk, [1, 2, 3, 4])
  }

  @Test func aDropForRoomIsTakenBack() async throws {
    let disk = Kept.disk()
    var configuration = DeadLetterConfiguration()
    configuration.capacity = 5
    configuration.overflow = .dropOldest
    let queue = try await queue(disk, configuration)
    try await queue.add(5)
    disk.fail(.write, on: "letters", at: 1, with: .noSpace, persistently: true)
    await #expect(throws: StoreError.self) { try await queue.add(6) }
    #expect(queue.count == 5 && queue.statistics.counts.dropped == 0)
    disk.clearFaults()
    #expect(try await queue.numbers() == [1, 2, 3, 4, 5])
    try await queue.add(7)
    #expect(try await queue.numbers() == [2, 3, 4, 5, 7])
  }

  @Test func aDiscardFailsAndAllStay() async throws {
    let disk = Kept.disk()
    let queue = try await queue(disk)
    disk.fail(.write, on: "letters", at: 1, with: .noSpace, persistently: true)
    await #expect(throws: StoreError.self) { try await queue.discard(.all, reason: "x") }
    try await expectWhole(queue, disk, [1, 2, 3, 4])
  }

  /// The writes of a redrive are: it began, then that it succeeded or the letter anew.
  @Test(arguments: [1, 2, 3], [true, false])
  func aRedriveLosesNothing(write: Int, fails: Bool) async throws {
    let disk = Kept.disk()
    let events = Events()
    var configuration = DeadLetterConfiguration()
    configuration.observer = events.add
    let queue = try await queue(disk, configuration)
    let clock = ManualClock()
    let budget = RetryBudget(ratio: 0, minimumPerSecond: 10, window: .seconds(1), clock: clock)
    var options = DeadLetter.RedriveOptions()
    options.budget = budget
    disk.fail(.write, on: "letters", at: write, with: .noSpace, persistently: true)
    var runs = 0
    let error = await #expect(throws: StoreError.self) {
      try await queue.redrive(options: options) { _, _ in
        runs += 1
        if fails { throw Broken() }
      }
    }
    #expect(error?.code == .outOfSpace && error?.path.hasSuffix("data/letters") == true)
    #expect(runs == (write == 1 ? 0 : 1))
    #expect(events.reports.last?.ending == .stopped && queue.statistics.redriving == 0)
    #expect(budget.balance == (write == 1 ? 10 : 9))
    let isGone = write == 3 && !fails
    try await expectWhole(queue, disk, isGone ? [2, 3, 4] : [1, 2, 3, 4])
  }

  @Test func aCompactionFailsAndTheFileIsAsItWas() async throws {
    let disk = Kept.disk()
    let queue = try await queue(disk)
    let before = disk.read("data/letters")
    disk.fail(.write, at: 1, with: .noSpace, persistently: true)
    await #expect(throws: StoreError.self) { try await queue.compact() }
    #expect(disk.read("data/letters") == before)
    try await expectWhole(queue, disk, [1, 2, 3, 4])
  }

  @Test func anExportFailsWithItsOwnPath() async throws {
    let disk = Kept.disk()
    let queue = try await queue(disk)
    try await queue.export(.kind("none"), to: "data/export")
    disk.fail(.write, on: "export", at: 1, with: .noSpace, persistently: true)
    let error = await #expect(throws: StoreError.self) {
      try await queue.export(to: "data/export")
    }
    #expect(error?.path.contains("export") == true)
    try await expectWhole(queue, disk, [1, 2, 3, 4])
  }

  @Test func aSyncThatFailsLosesNothing() async throws {
    let disk = Kept.disk()
    let queue = try await queue(disk)
    disk.fail(.fdatasync, at: 1, with: .inputOutput)
    try await queue.add(5)
    let cut = disk.restarted(after: .powerCut)
    #expect(try await Kept.onDisk.queue(on: cut).numbers() == [1, 2, 3, 4, 5])
  }
}
