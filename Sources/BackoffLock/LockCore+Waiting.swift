internal import ReliabilityIO

/// Waiting for other processes: in the kernel, on the one thread that is there for it, or by asking again.
extension LockCore {
  /// Goes on with an attempt that would block.
  func waitOnThread(_ attempt: LockFile.Attempt, _ file: LockFile, _ head: LockHold) {
    if attempt.strategy == .polling {
      askAgain(attempt, file, PollingWait(head))
    } else {
      onThread(file) { self.wait(attempt, file) }
    }
  }

  /// Takes the lock on the thread that may wait, which may take as long as others hold it.
  ///
  /// Whoever stops waiting meanwhile just leaves the queue. What arrives then serves the next one, or is given up.
  ///
  /// - Parameter polling: The wait that this is a part of, where it asks again and again.
  func wait(
    _ attempt: LockFile.Attempt, _ file: LockFile, _ polling: PollingWait? = nil
  ) -> Step? {
    var attempt = attempt
    do {
      guard let turn = try file.advance(&attempt, waits: true, now: now) else {
        askAgain(attempt, file, polling)
        return nil
      }
      let (mode, owner, now) = (attempt.mode, file.previousOwner, self.now)
      return transition(at: now) { (state: inout State) -> Machine.Action? in
        state.blame.previousOwner = owner
        return state.machine.acquired(mode, turn, now: now)
      }
    } catch {
      fail(error, file)
      return nil
    }
  }

  /// Asks again after a delay, or fails the first in the queue when its retries are spent.
  private func askAgain(
    _ attempt: LockFile.Attempt, _ file: LockFile, _ polling: PollingWait?
  ) {
    guard let head = state.withLock({ $0.machine.firstWaiting }) else {
      file.giveUpEverything()
      let now = self.now
      if let step = transition(at: now, { $0.machine.abandoned(isPolling: true, now: now) }) {
        carryOut(step)
      }
      return
    }
    let polling = polling ?? PollingWait(head)
    if polling.isSpent(for: head) { return giveUp(attempt, file, head) }
    let alarm = LockAlarm {
      self.onThread(file) {
        polling.count()
        return self.wait(attempt, file, polling)
      }
    }
    let end = now.saturatingAdvanced(by: polling.nextDelay())
    clock.source.schedule(alarm, at: .init(sinceOrigin: end))
  }

  private func onThread(_ file: LockFile, _ body: @escaping @Sendable () -> Step?) {
    let failure = thread.run {
      if let step = body() { self.carryOut(step, isOwnThread: true) }
    }
    if failure != 0 {
      let number = ErrorNumber(rawValue: failure)
      fail(SystemCallError(number, call: "pthread_create", path: file.path), file)
    }
  }

  /// Ends this core: the first in the queue gets the error, the others open the file anew.
  ///
  /// The file is closed with it, so that nothing of the system's can stay locked after a failed call.
  func fail(_ error: any Error, _ file: LockFile) {
    let waiting = state.withLock { state in
      state.file = nil
      return state.machine.retire()
    }
    file.giveUpEverything()
    registry.forget(identity, self)
    let isReplaced = error is LockFile.Replaced
    if isReplaced, let first = waiting.first { first.lock.tell(.fileReplaced) }
    for (index, hold) in waiting.enumerated() {
      hold.settle(index == 0 && !isReplaced ? .failed(error) : .restart)
    }
  }
}

/// The delays and retries of a wait that asks again and again.
///
/// Unchecked: used by one thread at a time, as the attempt it belongs to.
final class PollingWait: @unchecked Sendable {
  private var head: LockHold
  private let polling: LockPolling
  private var delays: Backoff.Delays
  private var retries = 0

  init(_ head: LockHold) {
    self.head = head
    polling = head.lock.configuration.strategy.polling
    delays = polling.backoff.delays(using: head.lock.configuration.randomness)
  }

  /// Counts a retry, and tells about every tenth.
  func count() {
    retries += 1
    head.countRetry()
    if retries.isMultiple(of: polling.retriesPerEvent) {
      head.lock.tell(.waiting(retries: retries))
    }
  }

  /// Whether the first in the queue asked as often as it may; another than before begins anew.
  func isSpent(for first: LockHold) -> Bool {
    if first != head { (head, retries) = (first, 0) }
    return polling.maxRetries.map { retries >= $0 } ?? false
  }

  func nextDelay() -> Duration { delays.next() ?? .zero }
}

/// An alarm that runs a closure of this module.
final class LockAlarm: Alarm, @unchecked Sendable {
  private let body: @Sendable () -> Void

  init(_ body: @escaping @Sendable () -> Void) { self.body = body }

  override func fire() { body() }
}

/// Who is to blame for a long wait.
struct LockBlame {
  /// The process that had the lock before this one last waited for it.
  var previousOwner: LockOwnerField?
  private var longest = Duration.zero
  private var label: String?
  private var end = Duration.zero

  mutating func record(_ held: Duration, _ lock: BackoffLock, now: Duration) {
    // An old record says nothing about a wait of today.
    guard held > longest || now - end > .seconds(10) else { return }
    (longest, label, end) = (held, lock.configuration.label, now)
  }

  /// The longest hold of this process that ended since an instant, else the process before.
  func cause(since start: Duration) -> String? {
    if end >= start && longest > .zero {
      return "held for \(longest) by this process" + (label.map { " (\"\($0)\")" } ?? "")
    }
    return previousOwner?.owner.map { "held by \($0)" }
  }
}
