import ReliabilityCore
import ReliabilityTesting

@testable import ResourcePooling

/// A list that several tasks may add to.
final class Log<Element: Sendable>: Sendable {
  private let elements = Lock<[Element]>([])

  func append(_ element: Element) { elements.withLock { $0.append(element) } }
  var all: [Element] { elements.withLock { $0 } }
}

/// A value that several tasks may set.
final class Box<Value: Sendable>: Sendable {
  private let content: Lock<Value>

  init(_ value: Value) { content = Lock(value) }

  var value: Value {
    get { content.withLock { $0 } }
    set { content.withLock { $0 = newValue } }
  }

  func update<Result: Sendable>(_ body: @Sendable (inout Value) -> Result) -> Result {
    content.withLock { body(&$0) }
  }
}

struct Down: Error, Equatable {
  var number = 0
}

/// A door that is shut until a test opens it.
final class Gate: Sendable {
  private let state = Lock((isOpen: false, waiting: [CheckedContinuation<Void, Never>]()))

  var waiting: Int { state.withLock { $0.waiting.count } }

  func pass() async {
    await withCheckedContinuation { continuation in
      let isOpen = state.withLock { state in
        if !state.isOpen { state.waiting.append(continuation) }
        return state.isOpen
      }
      if isOpen { continuation.resume() }
    }
  }

  func open() {
    let waiting = state.withLock { state in
      defer { state = (true, []) }
      return state.waiting
    }
    for continuation in waiting { continuation.resume() }
  }
}

/// Goes on when something has become so; the test's own time limit guards it.
func until(_ condition: () -> Bool) async {
  while !condition() { await Task.yield() }
}

/// The error a body throws, if any.
func failure<Result>(_ body: () async throws -> Result) async -> (any Error)? {
  do {
    _ = try await body()
    return nil
  } catch {
    return error
  }
}

/// A pool of numbers on a clock that a test moves, and the story of everything that its closures and its observer saw.
struct Lab {
  typealias Step = @Sendable (Int) async throws -> Void

  let clock = ManualClock()
  let story = Log<String>()
  let errors = Log<any Error>()
  let pool: ResourcePool<Int>

  init(
    _ base: PoolConfiguration = .default,
    checkOnLend: (@Sendable (Int) async throws -> Bool)? = nil,
    checkOnReturn: (@Sendable (Int) async throws -> Bool)? = nil,
    rollback: Step? = nil,
    close: @escaping Step = { _ in },
    create: @escaping Step = { _ in },
    configure: (inout PoolConfiguration) -> Void = { _ in }
  ) {
    var configuration = base
    configuration.clock = clock
    configuration.randomness = .seeded(1)
    configuration.jitter = 0
    configure(&configuration)
    configuration.observer = { [story, errors, observer = configuration.observer] event in
      story.append("\(event)".replacing("pool lab: ", with: ""))
      if let error = event.error { errors.append(error) }
      observer?(event)
    }
    let next = Box(0)
    var recordedRollback: Step?
    if let rollback {
      recordedRollback = { [story] number in
        story.append("rollback \(number)")
        try await rollback(number)
      }
    }
    pool = ResourcePool(
      name: "lab", configuration: configuration, checkOnLend: checkOnLend,
      checkOnReturn: checkOnReturn, rollback: recordedRollback,
      create: {
        let number = next.update { next in
          next += 1
          return next
        }
        try await create(number)
        return number
      },
      close: { [story] number in
        story.append("close \(number)")
        try await close(number)
      })
  }

  var figures: PoolStatistics { pool.statistics }

  func saw(_ line: String) -> Bool { story.all.contains(line) }

  /// Waits until nobody's code is at work.
  func rest() async {
    await until { figures.inUpkeep == 0 && figures.closing == 0 && figures.creating == 0 }
  }
}

extension PoolStatistics {
  /// Whether every resource that was made is somewhere.
  var isConserved: Bool { created == closed + idle + lent + inUpkeep + closing }
}

/// Holds a loan where only copyable things can be held.
final class Held<Resource: Sendable> {
  let resource: Resource
  private var loan: ResourcePool<Resource>.Loan?

  init(_ loan: consuming ResourcePool<Resource>.Loan) {
    resource = loan.resource
    self.loan = consume loan
  }

  func take() -> ResourcePool<Resource>.Loan { loan.take()! }
  func giveBack() { take().giveBack() }
  func discard() { take().discard() }
  func drop() { loan = nil }
}

extension ResourcePool {
  /// Whether something could be lent at once; it is given back.
  var hasIdle: Bool {
    if let loan = leaseIfIdle() {
      loan.giveBack()
      return true
    }
    return false
  }

  func held(timeout: Duration? = nil) async throws -> Held<Resource> {
    Held(try await lease(timeout: timeout))
  }
}
