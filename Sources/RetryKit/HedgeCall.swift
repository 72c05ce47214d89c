internal import ReliabilityCore
internal import Synchronization

/// One hedged call: where the attempts, the delay and the caller's cancellation leave word for the task that waits for them.
///
/// Only what crosses threads is here. What is decided, and what is done about it, is the business of the waiting task
/// (``HedgeDriver``), so that nothing but these few assignments happens under the lock.
@usableFromInline final class HedgeCall: Sendable {
  /// What the waiting task learns, the most important first.
  enum News {
    case succeeded(attempt: Int)
    case cancelled
    case failed(Failure)
    case delayPassed
  }

  struct Failure {
    var attempt: Int
    var error: any Error
    var at: Int64
  }

  @safe fileprivate struct State {
    var winner: Int?
    var isCancelled = false
    var tellsCancellation = false
    var failures: [Failure] = []
    /// The attempt after whose delay the next one is due.
    var awaitedDelay: Int?
    var delayHasPassed = false
    var firstTask: Task<Void, Never>?
    var otherTasks: [Task<Void, Never>] = []
    var waiter: UnsafeContinuation<Void, Never>?

    var hasNews: Bool {
      winner != nil || tellsCancellation || !failures.isEmpty || delayHasPassed
    }
  }

  let settings: HedgeSettings
  private let state = Lock(State())
  private let isClaimed = Atomic(false)

  @usableFromInline init(_ policy: HedgePolicy) {
    settings = policy.settings
  }

  // MARK: An attempt's side

  /// Called by an attempt's task before the body.
  @usableFromInline func begin() {
    // A body in a caller that gave up already sees so from its first line on, as in a bare call.
    if state.withLock({ $0.isCancelled }) { unsafe withUnsafeCurrentTask { unsafe $0?.cancel() } }
  }

  /// Asks for the right to be the winner; one asker gets it.
  @usableFromInline func claim() -> Bool {
    !isClaimed.exchange(true, ordering: .acquiringAndReleasing)
  }

  /// Called by the attempt that claimed the call, after it has put its result down.
  @usableFromInline func succeeded(_ attempt: Int) {
    leaveWord { $0.winner = attempt }
  }

  @inline(never) @usableFromInline func failed(_ attempt: Int, throwing error: any Error) {
    let now = settings.clock.now
    leaveWord { $0.failures.append(Failure(attempt: attempt, error: error, at: now)) }
  }

  // MARK: The other events

  func delayPassed(after attempt: Int) {
    leaveWord { state in
      if state.awaitedDelay == attempt { state.delayHasPassed = true }
    }
  }

  /// The caller was cancelled: whatever runs is to end.
  func callerCancelled() {
    var tasks: [Task<Void, Never>] = []
    leaveWord { state in
      state.isCancelled = true
      state.tellsCancellation = true
      tasks = state.tasks
    }
    for task in tasks { task.cancel() }
  }

  private func leaveWord(_ change: (inout State) -> Void) {
    let waiter = unsafe state.withLock { state -> UnsafeContinuation<Void, Never>? in
      change(&state)
      guard state.hasNews else { return nil }
      defer { unsafe state.waiter = nil }
      return unsafe state.waiter
    }
    unsafe waiter?.resume()
  }

  // MARK: The waiting task's side

  /// Notes that the caller was cancelled before the call began.
  func beginCancelled() {
    state.withLock { $0.isCancelled = true }
  }

  /// Takes charge of an attempt's task, which may have run already.
  func add(_ task: Task<Void, Never>, _ attempt: Int) {
    let isCancelled = state.withLock { state in
      if attempt == 1 { state.firstTask = task } else { state.otherTasks.append(task) }
      return state.isCancelled
    }
    if isCancelled { task.cancel() }
  }

  var tasks: [Task<Void, Never>] { state.withLock { $0.tasks } }

  /// Which attempt put a result down.
  var winner: Int? { state.withLock { $0.winner } }

  var callerIsCancelled: Bool { state.withLock { $0.isCancelled } }

  /// From now on the end of the delay after this attempt is news; that of an earlier one is not.
  func awaitDelay(after attempt: Int?) {
    state.withLock { state in
      state.awaitedDelay = attempt
      state.delayHasPassed = false
    }
  }

  /// The failures nobody has asked for.
  func remainingFailures() -> [Failure] {
    state.withLock { state in
      defer { state.failures = [] }
      return state.failures
    }
  }

  /// Suspends until there is news.
  ///
  /// Of a winner it tells again and again; of anything else once.
  nonisolated(nonsending) func nextNews() async -> News {
    while true {
      if let news = state.withLock({ $0.takeNews() }) { return news }
      unsafe await withUnsafeContinuation { continuation in
        let goOn = state.withLock { state in
          if state.hasNews { return true }
          unsafe state.waiter = continuation
          return false
        }
        if goOn { unsafe continuation.resume() }
      }
    }
  }
}

extension HedgeCall.State {
  fileprivate var tasks: [Task<Void, Never>] {
    firstTask.map { [$0] + otherTasks } ?? otherTasks
  }

  fileprivate mutating func takeNews() -> HedgeCall.News? {
    if let winner { return .succeeded(attempt: winner) }
    if tellsCancellation {
      tellsCancellation = false
      return .cancelled
    }
    if !failures.isEmpty { return .failed(failures.removeFirst()) }
    guard delayHasPassed else { return nil }
    delayHasPassed = false
    return .delayPassed
  }
}

/// Wakes a hedged call when an attempt has taken long enough.
final class HedgeAlarm: Alarm, @unchecked Sendable {
  private let call: HedgeCall
  private let attempt: Int

  init(_ call: HedgeCall, after attempt: Int) {
    (self.call, self.attempt) = (call, attempt)
    super.init()
  }

  override func fire() { call.delayPassed(after: attempt) }
}

/// Where the winner puts its result.
///
/// Unchecked: the one attempt that claimed the call writes, before it says that it succeeded; the caller reads after that.
@safe @usableFromInline final class HedgePrize<Result: ~Copyable>: @unchecked Sendable {
  @safe @exclusivity(unchecked) @usableFromInline var value: Result?

  @inlinable init() {}

  @inlinable func put(_ value: consuming Result) { self.value = .some(value) }

  @inlinable func take() -> Result? { value.take() }
}
