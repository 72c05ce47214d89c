/// Something that happens once at an instant: the unit a ``TimeSource`` schedules.
///
/// Subclass it and override ``fire()``; the object itself is the timer, so that scheduling one allocates nothing more.
/// Only a type that implements or uses a ``TimeSource`` directly needs this.
open class Alarm: @unchecked Sendable {
  // Owned by the time source that holds the alarm, under its lock.
  @safe @exclusivity(unchecked) package final var link = AlarmLink()

  /// Makes an alarm that is not scheduled yet.
  public init() {}

  /// Called once when the instant has come, on a thread of the time source, outside its locks.
  ///
  /// Must be short, must not block and must not run code of a user.
  open func fire() {}
}

/// Where an alarm stands in the lists of its time source.
@safe package struct AlarmLink {
  package enum State: UInt8 { case idle, waiting, done }

  package var state = State.idle
  package var slot: UInt16 = 0
  package var tick: UInt64 = 0
  package var next: Unmanaged<Alarm>?
  package var previous: Unmanaged<Alarm>?
}

/// Resumes one waiting task, once, whoever comes first: the time, or a cancellation before the task waits.
final class WakeUpAlarm: Alarm, @unchecked Sendable {
  @safe private enum State {
    case initial
    case waiting(UnsafeContinuation<Void, Never>)
    case finished
  }

  private let state = Lock(State.initial)

  /// - Returns: Whether to schedule the alarm. `false` means that the continuation has been resumed.
  func wait(with continuation: UnsafeContinuation<Void, Never>) -> Bool {
    let goOn = state.withLock { state in
      if case .finished = state { return false }
      state = unsafe .waiting(continuation)
      return true
    }
    if !goOn { unsafe continuation.resume() }
    return goOn
  }

  /// Whether the task was, or will not be, put to sleep.
  var isFinished: Bool {
    state.withLock { state in if case .finished = state { true } else { false } }
  }

  override func fire() {
    let before = state.withLock { state in
      let before = state
      state = .finished
      return before
    }
    if case .waiting(let continuation) = before { unsafe continuation.resume() }
  }
}
