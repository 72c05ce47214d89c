import ReliabilityTesting
import Testing

@testable import DeadLetterQueue

@Suite struct OverflowTests {
  private func configuration(
    _ overflow: DeadLetterConfiguration.Overflow, _ events: Events
  ) -> DeadLetterConfiguration {
    var configuration = DeadLetterConfiguration()
    configuration.capacity = 3
    configuration.overflow = overflow
    configuration.observer = events.add
    return configuration
  }

  @Test(arguments: Kept.allCases) func aFullQueueRefuses(kept: Kept) async throws {
    let events = Events()
    let queue = try await kept.queue(configuration(.reject, events))
    for number in 1...3 { try await queue.add(number) }
    let error = await #expect(throws: DeadLetterError.self) { try await queue.add(4) }
    #expect(error?.code == .full && error?.limit == 3 && error?.category == .overload)
    #expect(try await queue.numbers() == [1, 2, 3])
    #expect(queue.statistics.counts.refused == 1)
    #expect(events.all.contains { if case .refused = $0 { true } else { false } })
    try await queue.discard(DeadLetter.ID(rawValue: 2), reason: "room")
    try await queue.add(5)
    #expect(try await queue.numbers() == [1, 3, 5])
  }

  @Test(arguments: Kept.allCases)
  func theOldestAreDroppedExactlyAtTheCapacityAndCounted(kept: Kept) async throws {
    let events = Events()
    let disk = Kept.disk()
    let queue = try await kept.queue(configuration(.dropOldest, events), on: disk)
    for number in 1...10 { try await queue.add(number) }
    #expect(try await queue.numbers() == [8, 9, 10])
    #expect(queue.statistics.counts.dropped == 7)
    #expect(events.departed(.dropped) == Array(1...7))
    try await queue.close()
    if kept == .onDisk {
      #expect(try await kept.queue(on: disk).numbers() == [8, 9, 10])
    }
  }

  @Test(arguments: Kept.allCases)
  func whatSpillsIsInTheArchiveBeforeItLeaves(kept: Kept) async throws {
    let events = Events()
    let scratch = Scratch()
    let archive = scratch.file("archive")
    let configuration = configuration(.spill(to: archive), events)
    let queue =
      switch kept {
      case .inMemory: DeadLetterQueue<Order>(configuration: configuration)
      case .onDisk:
        try await DeadLetterQueue<Order>(scratch.file("letters"), configuration: configuration)
      }
    for number in 1...10 { try await queue.add(number) }
    #expect(try await queue.numbers() == [8, 9, 10])
    #expect(queue.statistics.counts.spilled == 7 && queue.statistics.counts.dropped == 0)
    #expect(events.departed(.spilled).count == 7)
    let spilled = try await DeadLetterQueue<Order>(archive, access: .readOnly)
    #expect(try await spilled.numbers() == Array(1...7))
    #expect(
      try await spilled.letter(events.departed(.spilled).first.map { .init(rawValue: $0) }!)?
        .attempts.count == 1)
    await #expect(throws: StoreError.self) { try await spilled.add(1) }
  }

  @Test func aDyingTaskStillMakesRoomForItsWork() async throws {
    let events = Events()
    let queue = try await Kept.onDisk.queue(configuration(.spill(to: "data/other-letters"), events))
    for number in 1...3 { try await queue.add(number) }
    let task = Task {
      unsafe withUnsafeCurrentTask { unsafe $0?.cancel() }
      try await queue.add(4)
    }
    try await task.value
    #expect(try await queue.numbers() == [2, 3, 4] && events.departed(.spilled) == [1])
  }

  @Test func lettersAreNotCopiedIntoTheirOwnFile() async throws {
    let disk = Kept.disk()
    let queue = try await Kept.onDisk.queue(
      configuration(.spill(to: "/data/letters"), Events()), on: disk)
    for number in 1...3 { try await queue.add(number) }
    await #expect(throws: ConfigurationError.self) { try await queue.add(4) }
    await #expect(throws: ConfigurationError.self) { try await queue.export(to: "./data/letters") }
    try await queue.close()
    #expect(try await Kept.onDisk.queue(on: disk).numbers() == [1, 2, 3])
  }

  @Test func anArchiveThatCannotBeWrittenLosesNothing() async throws {
    let disk = Kept.disk()
    let events = Events()
    let queue = try await Kept.onDisk.queue(
      configuration(.spill(to: "data/archive"), events), on: disk)
    for number in 1...3 { try await queue.add(number) }
    disk.fail(.write, on: "archive", at: 1, with: .noSpace, persistently: true)
    disk.fail(nil, on: "rtmp", at: 1, with: .noSpace, persistently: true)
    let error = await #expect(throws: StoreError.self) { try await queue.add(4) }
    #expect(error?.path.hasSuffix("archive") == true)
    #expect(try await queue.numbers() == [1, 2, 3])
    disk.clearFaults()
    try await queue.add(5)
    #expect(try await queue.numbers() == [2, 3, 5])
  }

  @Test(arguments: Kept.allCases) func bytesAreACapacityToo(kept: Kept) async throws {
    let events = Events()
    var configuration = configuration(.dropOldest, events)
    configuration.capacity = 100
    configuration.maximumBytes = 64 << 10
    let queue = try await kept.queue(configuration)
    for number in 1...10 {
      try await queue.add(
        Order(number: number, note: String(repeating: "x", count: 10_000)), kind: "big",
        error: Broken())
    }
    #expect(queue.statistics.bytes <= 64 << 10)
    #expect(queue.count >= 4 && queue.count < 7)
    let before = try await queue.numbers()
    let error = await #expect(throws: DeadLetterError.self) {
      try await queue.add(
        Order(number: 11, note: String(repeating: "x", count: 100_000)), kind: "big",
        error: Broken())
    }
    #expect(error?.code == .full && error?.limit == 64 << 10)
    #expect(try await queue.numbers() == before)
  }

  @Test(arguments: Kept.allCases)
  func whatIsBeingRedrivenDoesNotMakeRoom(kept: Kept) async throws {
    let events = Events()
    var configuration = configuration(.dropOldest, events)
    configuration.capacity = 1
    let queue = try await kept.queue(configuration)
    try await queue.add(1)
    try await queue.redrive { _, _ in
      let error = await #expect(throws: DeadLetterError.self) { try await queue.add(2) }
      #expect(error?.code == .full)
    }
    try await queue.add(3)
    #expect(try await queue.numbers() == [3])
  }

  @Test(arguments: Kept.allCases) func retentionByAgeFollowsTheClock(kept: Kept) async throws {
    let clock = ManualClock()
    let events = Events()
    var configuration = DeadLetterConfiguration()
    configuration.clock = clock
    configuration.observer = events.add
    configuration.retention.maximumAge = .seconds(3600)
    let queue = try await kept.queue(configuration)
    try await queue.add(1)
    clock.advance(by: .seconds(1800))
    try await queue.add(2)
    #expect(try await queue.sweep() == 0)
    clock.advance(by: .seconds(1800))
    #expect(try await queue.sweep() + events.departed(.expired).count >= 1)
    #expect(try await queue.numbers() == [2])
    #expect(events.departed(.expired) == [1] && queue.statistics.counts.expired == 1)
  }

  @Test(.timeLimit(.minutes(10))) func theTimerRemovesWhatNobodyAsksFor() async throws {
    let clock = ManualClock()
    let (expired, continuation) = AsyncStream.makeStream(of: Void.self)
    var configuration = DeadLetterConfiguration()
    configuration.clock = clock
    configuration.retention.maximumAge = .seconds(3600)
    configuration.observer = { event in
      if case .departed(_, .expired) = event.kind { continuation.yield() }
    }
    let queue = DeadLetterQueue<Order>(configuration: configuration)
    try await queue.add(1)
    await clock.advanceToNext()
    for await _ in expired { break }
    #expect(queue.count == 0)
  }

  @Test(arguments: Kept.allCases) func retentionByCountKeepsTheNewest(kept: Kept) async throws {
    var configuration = DeadLetterConfiguration()
    configuration.retention.maximumCount = 4
    let queue = try await kept.queue(configuration)
    for number in 1...10 { try await queue.add(number) }
    _ = try await queue.sweep()
    #expect(try await queue.numbers() == [7, 8, 9, 10])
    #expect(queue.statistics.counts.expired == 6)
  }

  @Test(arguments: [-3600, 3600] as [Int64])
  func aJumpOfTheWallClockMovesNoAge(jump: Int64) async throws {
    let clock = ManualClock()
    let wall = Lock(PersistedMoment(wall: 1_700_000_000_000_000_000, bootID: "a", sinceBoot: 0))
    func pass(_ seconds: Int64, wallToo: Int64 = 0) {
      clock.advance(by: .seconds(seconds))
      wall.withLock {
        $0.wall += (seconds + wallToo) * 1_000_000_000
        $0.sinceBoot += seconds * 1_000_000_000
      }
    }
    let disk = Kept.disk()
    var configuration = DeadLetterConfiguration()
    configuration.clock = clock
    configuration.moments = { wall.withLock { $0 } }
    configuration.retention.maximumAge = .seconds(7200)
    let queue = try await Kept.onDisk.queue(configuration, on: disk)
    try await queue.add(1)
    pass(10, wallToo: jump)
    #expect(queue.statistics.oldestAge == .seconds(10))
    try await queue.close()
    pass(10)
    // The program starts again, the machine does not.
    let again = try await Kept.onDisk.queue(configuration, on: disk)
    #expect(again.statistics.oldestAge == .seconds(20))
    try await again.close()
    // The machine starts again: the wall clock alone is left, and no age is below zero.
    wall.withLock { $0.bootID = "b" }
    let later = try await Kept.onDisk.queue(configuration, on: disk)
    #expect(later.statistics.oldestAge == .seconds(max(0, 20 + jump)))
    #expect(later.count == 1)
  }
}
