import CircuitBreaker
import RateLimiting
import ReliabilityCore
import ReliabilityTesting
import Testing

@testable import DurableJobs

struct Work: DurableJob, Equatable {
  static let kind = "work"
  var number = 0
}

struct Other: DurableJob {
  static let kind = "other"
  var text = ""
}

struct Trouble: ClassifiedError, Equatable {
  var retryability = Retryability.retryable()
  var category: ErrorCategory { .network }
}

/// A list that several tasks may add to.
final class Log<Element: Sendable>: Sendable {
  private let elements = Lock<[Element]>([])
  func append(_ element: Element) { elements.withLock { $0.append(element) } }
  var all: [Element] { elements.withLock { $0 } }
}

/// A door that bodies wait at, also when they are cancelled.
final class Gate: Sendable {
  private let state = Lock((isOpen: false, waiting: [CheckedContinuation<Void, Never>]()))

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
      state.isOpen = true
      defer { state.waiting = [] }
      return state.waiting
    }
    for continuation in waiting { continuation.resume() }
  }
}

/// Waits until the task is cancelled.
func forever() async throws { try await ManualClock().wait(for: .seconds(1)) }

/// A queue on a clock that a test moves, with everything it tells.
struct Lab {
  let clock: ManualClock
  let store: any JobStore
  let queue: JobQueue
  private let events: AsyncStream<JobEvent>
  private let seen = Log<String>()

  init(
    workers: Int = 3, clock: ManualClock = ManualClock(), store: (any JobStore)? = nil,
    capacity: Int = 1000, configure: (inout JobQueue.Configuration) -> Void = { _ in },
    handlers: (inout JobHandlers) -> Void
  ) {
    self.clock = clock
    var options = JobStoreOptions()
    options.capacity = capacity
    self.store = store ?? MemoryJobStore(options: options, clock: clock)
    var configuration = JobQueue.Configuration(name: "lab")
    configuration.workers = workers
    configuration.clock = clock
    configuration.randomness = .seeded(1)
    configure(&configuration)
    queue = JobQueue(self.store, configuration: configuration, handlers: handlers)
    events = queue.events(keeping: 100_000)
  }

  /// Waits for the next event that something can be made of.
  func next<T>(_ pick: (JobEvent) -> T?) async -> T {
    for await event in events {
      seen.append("\(event.id.map { "\($0)" } ?? "-") \(event.kind)")
      if let found = pick(event) { return found }
    }
    fatalError("no more events: \(seen.all)")
  }

  @discardableResult func started() async -> JobID {
    await next { if case .started = $0.kind { $0.id! } else { nil } }
  }
  func retrying() async -> Duration {
    await next { if case .retrying(_, _, let delay, _) = $0.kind { delay } else { nil } }
  }
  func completed() async -> String? {
    await next { event -> String?? in
      if case .completed(let note) = event.kind { .some(note) } else { nil }
    }
  }
  func failed() async -> (error: any Error, isDead: Bool) {
    await next { if case .failed(let error, let dead) = $0.kind { (error, dead) } else { nil } }
  }
  func happened(_ test: (JobEvent.Kind) -> Bool) async {
    _ = await next { test($0.kind) ? true : nil }
  }
  func held() async -> Duration {
    await next { if case .held(let wait) = $0.kind { wait } else { nil } }
  }

  func run(_ body: (JobQueue) async throws -> Void) async throws {
    queue.begin(until: nil)
    do { try await body(queue) } catch {
      await queue.stop(grace: .zero)
      throw error
    }
    await queue.stop(grace: .zero)
  }
}
