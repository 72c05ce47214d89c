import AtomicStore
import ReliabilityCore
import ReliabilityTesting
import Testing

@testable import DurableJobs

/// The call that ends one job and claims the next.
@Suite(.timeLimit(.minutes(10))) struct TurnTests {
  enum Kind: CaseIterable, Sendable {
    case memory, file, withoutTurns

    func store(_ machine: Machine) async throws -> any JobStore {
      switch self {
      case .memory: MemoryJobStore(clock: machine.clock)
      case .file: try await machine.open()
      case .withoutTurns: AttackTests.HookedStore()
      }
    }
  }

  @Test(arguments: Kind.allCases)
  func endsOneJobAndClaimsTheNext(kind: Kind) async throws {
    let store = try await kind.store(Machine())
    let ids = try await store.insert((0..<3).map { _ in .plain() }).map(\.id)
    let first = try await store.claim(.some()).items[0]
    let turn = try await store.settle(
      [JobSettlement(first.lease, .completed(note: nil))], claiming: .some())
    #expect(turn.accepted == [true])
    let second = try #require(turn.claim?.items.first)
    #expect(second.job.id == ids[1] && second.lease.token > first.lease.token)
    #expect(second.job.crashes == 1 && turn.claim?.hasMore == true)
    #expect(try await store.job(ids[0])?.state == .completed)
    // A result that comes twice is refused, and the claim goes on.
    let again = try await store.settle(
      [
        JobSettlement(first.lease, .completed(note: nil)),
        JobSettlement(second.lease, .failed(.some, isDead: true)),
      ], claiming: .some(5))
    #expect(again.accepted == [false, true])
    #expect(again.claim?.items.map(\.job.id) == [ids[2]])
    let last = try #require(again.claim?.items.first)
    let none = try await store.settle(
      [JobSettlement(last.lease, .retry(after: .seconds(5), .some))], claiming: .some())
    #expect(none.accepted == [true] && none.claim?.items.isEmpty == true)
    if kind != .withoutTurns { #expect(none.claim?.nextDue == .seconds(5)) }
    #expect(try await store.job(ids[1])?.state == .dead)
  }

  @Test func isOneCommitAndOneRecord() async throws {
    let machine = Machine()
    let store = try await machine.open()
    _ = try await store.insert((0..<2).map { _ in .plain() })
    let first = try await store.claim(.some()).items[0]
    let before = store.health.log.counts
    let turn = try await store.settle(
      [JobSettlement(first.lease, .completed(note: nil))], claiming: .some())
    let after = store.health.log.counts
    #expect(after.records - before.records == 1 && after.syncs - before.syncs == 1)
    // Both are there after a power cut: the crash count of what was claimed too.
    let next = try await machine.crashed().open()
    #expect(try await next.job(first.job.id)?.state == .completed)
    let second = try #require(turn.claim?.items.first).job.id
    #expect(try await next.job(second)?.crashes == 1)
    #expect(try await next.job(second)?.state == .pending)
    #expect(try await next.claim(.some()).items[0].job.crashes == 2)
  }

  @Test func failsAsAWholeWhenTheDiskIsFull() async throws {
    let machine = Machine()
    let store = try await machine.open()
    let ids = try await store.insert((0..<2).map { _ in .plain() }).map(\.id)
    let first = try await store.claim(.some()).items[0]
    machine.disk.fail(.write, on: "jobs", with: .noSpace, persistently: true)
    let error = await #expect(throws: StoreError.self) {
      _ = try await store.settle(
        [JobSettlement(first.lease, .completed(note: nil))], claiming: .some())
    }
    #expect(error?.code == .outOfSpace)
    #expect(try await store.job(ids[0])?.state == .running)
    #expect(try await store.job(ids[1])?.state == .pending)
    machine.disk.clearFaults()
    let turn = try await store.settle(
      [JobSettlement(first.lease, .completed(note: nil))], claiming: .some())
    #expect(turn.accepted == [true] && turn.claim?.items.first?.job.id == ids[1])
  }

  /// A worker of a queue that gets its jobs this way obeys everything that holds for the others.
  @Test(arguments: Kind.allCases)
  func queueGoesFromJobToJobAndStopsWhenItIsPaused(kind: Kind) async throws {
    let machine = Machine()
    let clock = machine.clock
    let log = Log<Int>()
    let lab = Lab(workers: 1, clock: clock, store: try await kind.store(machine)) {
      $0.handle(Work.self) { job, context in
        log.append(job.number)
        #expect(context.attempt == 1)
      }
    }
    let jobs = (0..<20).map { Work(number: $0) }
    try await lab.queue.enqueue(contentsOf: jobs)
    var options = JobOptions(priority: .critical)
    options.tags = ["first"]
    try await lab.queue.enqueue(Work(number: 99), options: options)
    try await lab.run { queue in
      for _ in 0..<21 { _ = await lab.completed() }
      try await queue.drain()
    }
    #expect(log.all == [99] + Array(0..<20))
    let metrics = try await lab.queue.metrics()
    #expect(metrics.jobsSucceeded == 21 && metrics.processed == 21)
    #expect(metrics.store.states == [.completed: 21])
    let shell = lab.queue.shell.withLock { ($0.workers, $0.runs.count, $0.kinds[0].running) }
    #expect(shell == (0, 0, 0))
  }

  /// Whoever pauses a queue when a job is done sees nothing start any more, also not what came with that job's end.
  @Test(arguments: Kind.allCases)
  func nothingStartsAfterAPauseFromAnObserver(kind: Kind) async throws {
    let machine = Machine()
    let queue = Lock<JobQueue?>(nil)
    let runs = Log<Int>()
    let lab = Lab(workers: 1, clock: machine.clock, store: try await kind.store(machine)) {
      $0.observer = { event in
        if case .completed = event.kind { queue.withLock { $0 }?.pause() }
      }
    } handlers: {
      $0.handle(Work.self) { job, _ in runs.append(job.number) }
    }
    queue.withLock { $0 = lab.queue }
    defer { queue.withLock { $0 = nil } }
    try await lab.queue.enqueue(contentsOf: (0..<3).map { Work(number: $0) })
    try await lab.run { queue in
      for done in 1...3 {
        _ = await lab.completed()
        // Until the worker has ended.
        while queue.shell.withLock({ $0.workers > 0 }) { await Task.yield() }
        #expect(runs.all == Array(0..<done))
        let states = try await queue.metrics().store.states
        #expect(states[.running] == nil && states[.pending, default: 0] == 3 - done)
        queue.resume()
      }
      try await queue.drain()
    }
    for job in try await lab.queue.jobs() { #expect(job.attempts == 0 && job.crashes == 0) }
  }

  @Test func jobThatIsCancelledBetweenItsClaimAndItsStartDoesNotRun() async throws {
    let store = CancellingStore()
    let log = Log<Int>()
    let lab = Lab(workers: 1, store: store) {
      $0.handle(Work.self) { job, _ in log.append(job.number) }
    }
    store.queue.withLock { $0 = lab.queue }
    try await lab.queue.enqueue(contentsOf: (0..<3).map { Work(number: $0) })
    try await lab.run { queue in try await queue.drain() }
    store.queue.withLock { $0 = nil }
    // The second one came with the end of the first.
    #expect(log.all == [0, 2])
    #expect(try await lab.queue.metrics().store.states == [.completed: 2, .cancelled: 1])
    #expect(lab.queue.shell.withLock { $0.cancelledEarly.isEmpty && $0.kinds[0].running == 0 })
  }

  /// Cancels the second job before its worker learns that it has it.
  private final class CancellingStore: WrappingStore {
    let inner = MemoryJobStore()
    let queue = Lock<JobQueue?>(nil)

    func settle(
      _ settlements: [JobSettlement], claiming request: JobClaimRequest
    ) async throws -> JobTurn {
      let turn = try await inner.settle(settlements, claiming: request)
      if let item = turn.claim?.items.first, item.job.id.rawValue == 2 {
        try await queue.withLock { $0 }?.cancel(item.job.id)
      }
      return turn
    }
  }
}
