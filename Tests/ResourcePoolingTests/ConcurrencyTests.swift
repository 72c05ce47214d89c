import ReliabilityCore
import ReliabilityMetrics
import ReliabilityTestSupport
import ReliabilityTesting
import Testing

@testable import ResourcePooling

/// Counts what is open, and notices when two have the same.
private final class Ledger: Sendable {
  private let state = Lock((open: Set<Int>(), inUse: Set<Int>(), next: 0, most: 0, faults: 0))

  func open() -> Int {
    state.withLock { state in
      state.next += 1
      state.open.insert(state.next)
      state.most = max(state.most, state.open.count)
      return state.next
    }
  }

  func close(_ number: Int) {
    state.withLock { if $0.open.remove(number) == nil { $0.faults += 1 } }
  }

  func begin(_ number: Int) {
    state.withLock { state in
      if !state.inUse.insert(number).inserted || !state.open.contains(number) { state.faults += 1 }
    }
  }

  func end(_ number: Int) {
    state.withLock { if $0.inUse.remove(number) == nil { $0.faults += 1 } }
  }

  var stillOpen: Int { state.withLock { $0.open.count } }
  var mostOpen: Int { state.withLock { $0.most } }
  var faults: Int { state.withLock { $0.faults } }
}

@Suite(.offThePool, .timeLimit(.minutes(10))) struct ConcurrencyTests {
  /// Many tasks borrow, fail, discard, drop and are cancelled at any point, while resources can't be made, are unhealthy and
  /// can't be rolled back: nobody shares one, none is lost, none is closed twice.
  @Test("Nothing leaks under concurrency", arguments: 0..<4)
  func storm(kind: Int) async throws {
    let ledger = Ledger()
    let calls = Box(0)
    @Sendable func call() -> Int {
      calls.update { calls in
        calls += 1
        return calls
      }
    }
    var configuration = PoolConfiguration(minimum: 1, maximum: 4)
    configuration.creationBackoff = .constant(.nanoseconds(1), jitter: .none)
    configuration.discardAfter = { $0 is CancellationError }
    configuration.observer = { [ledger] _ in _ = ledger.stillOpen }
    typealias Check = @Sendable (Int) async throws -> Bool
    let checkOnLend: Check = { _ in call() % 11 != 0 }
    let checkOnReturn: Check = { _ in call() % 13 != 0 }
    let rollback: @Sendable (Int) async throws -> Void = { _ in
      if call() % 17 == 0 { throw Down() }
    }
    let pool = ResourcePool<Int>(
      name: "storm", configuration: configuration,
      checkOnLend: kind & 1 == 0 ? nil : checkOnLend,
      checkOnReturn: kind & 1 == 0 ? nil : checkOnReturn,
      rollback: kind & 2 == 0 ? nil : rollback
    ) {
      await Task.yield()
      if call() % 7 == 0 { throw Down() }
      return ledger.open()
    } close: { number in
      await Task.yield()
      ledger.close(number)
      if call() % 5 == 0 { throw Down() }
    }
    let run = Task { await pool.run() }
    await withTaskGroup(of: Void.self) { group in
      for id in 0..<400 {
        let work = Task {
          for turn in 0..<3 {
            if (id + turn) % 5 == 0 {
              let loan = try await pool.lease()
              ledger.begin(loan.resource)
              await Task.yield()
              ledger.end(loan.resource)
              if id % 2 == 0 { loan.discard() }
            } else {
              try await pool.withResource { number in
                ledger.begin(number)
                for _ in 0..<(id % 4) { await Task.yield() }
                ledger.end(number)
                if id % 9 == 0 { throw Down() }
                try Task.checkCancellation()
              }
            }
            #expect(pool.statistics.isConserved)
          }
        }
        group.addTask {
          if id % 4 == 0 {
            for _ in 0..<(id % 23) { await Task.yield() }
            work.cancel()
          }
          _ = try? await work.value
        }
      }
    }
    await until {
      let figures = pool.statistics
      return figures.inUpkeep + figures.closing + figures.creating == 0 && figures.idle >= 1
    }
    let figures = pool.statistics
    #expect(figures.lent == 0 && figures.waiting == 0 && figures.isConserved)
    #expect(ledger.faults == 0 && ledger.mostOpen <= 4)
    #expect(ledger.stillOpen == figures.idle)
    await pool.stop()
    await run.value
    #expect(ledger.stillOpen == 0 && ledger.faults == 0)
    #expect(pool.statistics.created == pool.statistics.closed)
  }

  /// The wait of one caller is cancelled after ever more steps of all others.
  @Test("P9: a wait that is cancelled at any point neither loses nor doubles a resource")
  func cancellationAtEveryPoint() async throws {
    let pool = ResourcePool<Int>(
      name: "cancelled", configuration: .init(minimum: 0, maximum: 1), rollback: { _ in }
    ) {
      1
    } close: { _ in
    }
    for steps in 0..<200 {
      let holder = try await pool.held()
      let waiting = Task { try await pool.withResource { $0 } }
      let canceller = Task {
        for _ in 0..<(steps % 40) { await Task.yield() }
        waiting.cancel()
      }
      for _ in 0..<(steps / 10) { await Task.yield() }
      holder.giveBack()
      await canceller.value
      switch await waiting.result {
      case .success(let number): #expect(number == 1)
      case .failure(let error): #expect(error is CancellationError)
      }
      await until { pool.statistics.idle == 1 }
      #expect(pool.statistics.isConserved && pool.statistics.created == 1)
    }
  }

  @Test("P24: an observer may use the pool, also to borrow and to stop it")
  func reentrancy() async throws {
    let pool = Box<ResourcePool<Int>?>(nil)
    let tasks = Log<Task<Void, Never>>()
    var configuration = PoolConfiguration(minimum: 0, maximum: 2)
    configuration.observer = { event in
      guard let pool = pool.value else { return }
      #expect(pool.statistics.isConserved)
      _ = pool.samples()
      _ = pool.hasIdle
      if event.kind == .closed { tasks.append(Task { await pool.stop() }) }
    }
    pool.value = ResourcePool(name: "observed", configuration: configuration) {
      1
    } close: { _ in
    }
    try await pool.value!.held().discard()
    await until { !tasks.all.isEmpty }
    for task in tasks.all { await task.value }
    #expect(await failure { try await pool.value!.held() } is PoolUnavailableError)
    pool.value = nil
  }

  @Test func aResourcesDeinitMayUseThePool() async throws {
    final class Handle: Sendable {
      let pool: Box<ResourcePool<Handle>?>
      let ends: Box<Int>
      init(_ pool: Box<ResourcePool<Handle>?>, _ ends: Box<Int>) {
        (self.pool, self.ends) = (pool, ends)
      }
      deinit {
        _ = pool.value?.statistics
        ends.update { $0 += 1 }
      }
    }
    let pool = Box<ResourcePool<Handle>?>(nil)
    let ends = Box(0)
    pool.value = ResourcePool(name: "handles") {
      Handle(pool, ends)
    } close: { _ in
    }
    for _ in 0..<10 { try await pool.value!.lease().discard() }
    await until { ends.value == 10 }
    pool.value = nil
  }

  @Test func anErrorsDeinitMayUseThePool() async throws {
    final class Failure: Error, Sendable {
      let pool: Box<ResourcePool<Int>?>
      init(_ pool: Box<ResourcePool<Int>?>) { self.pool = pool }
      deinit { _ = pool.value?.statistics }
    }
    let pool = Box<ResourcePool<Int>?>(nil)
    let isDown = Box(true)
    var configuration = PoolConfiguration()
    configuration.creationBackoff = .none
    pool.value = ResourcePool<Int>(name: "errors", configuration: configuration) {
      if isDown.value { throw Failure(pool) }
      return 1
    } close: { _ in
    }
    let subject = pool.value!
    for _ in 0..<5 { _ = await failure { try await subject.withResource { _ in } } }
    isDown.value = false
    try await subject.withResource { _ in }
    pool.value = nil
  }

  @Test func twoPoolsMayBorrowFromEachOther() async throws {
    let inner = ResourcePool(name: "inner", configuration: .init(minimum: 0, maximum: 1)) {
      1
    } close: { _ in
    }
    let outer = ResourcePool(name: "outer", configuration: .init(minimum: 0, maximum: 3)) {
      try await inner.withResource { $0 + 1 }
    } close: { _ in
      try await inner.withResource { _ in }
    }
    try await withThrowingTaskGroup { group in
      for _ in 0..<20 { group.addTask { try await outer.withResource { #expect($0 == 2) } } }
      try await group.waitForAll()
    }
    await outer.stop()
    await inner.stop()
    #expect(outer.statistics.closerErrors == 0)
  }

  @Test func theFiguresAreMetrics() async throws {
    let lab = Lab(.init(minimum: 0, maximum: 2))
    try await lab.pool.withResource { _ in }
    _ = await failure { try await lab.pool.withResource { _ in throw Down() } }
    let held = try await lab.pool.held()
    let registry = MetricsRegistry()
    registry.register(lab.pool)
    let text = String(
      decoding: registry.snapshot().rendered(as: .prometheus).bytes, as: UTF8.self)
    for line in [
      #"pool_resources{pool="lab",state="lent"} 1"#, #"pool_used_ratio{pool="lab"} 0.5"#,
      #"pool_loans_total{pool="lab"} 3"#, #"pool_resources_reused_total{pool="lab"} 2"#,
      #"pool_errors_total{pool="lab",kind="use"} 1"#,
      #"pool_resource_errors_max{pool="lab"} 1"#,
      #"pool_evictions_total{pool="lab",reason="age"} 0"#,
      #"pool_wait_seconds_count{pool="lab"} 1"#,
    ] {
      #expect(text.contains(line), "\(line)")
    }
    held.giveBack()
    #expect(lab.figures.reuseRatio == 2.0 / 3.0 && lab.figures.totalErrors == 1)
  }
}
