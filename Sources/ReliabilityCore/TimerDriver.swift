#if os(Linux)
  internal import CReliability

  /// Wakes the deadline scheduler: a kernel timer on the clock that counts suspended time, and a thread that reads it.
  ///
  /// The thread is started once and lives as long as the process. Setting the timer is one system call, about 0.3 µs.
  final class TimerDriver: Sendable {
    private let descriptor: CInt

    init() {
      descriptor = creliability_timer_open()
      precondition(descriptor >= 0, "the kernel gives no timer: too many open files?")
    }

    func start(_ wakeUp: @escaping @Sendable () -> Void) {
      let context = unsafe Unmanaged.passRetained(Handler(wakeUp)).toOpaque()
      let started = unsafe creliability_timer_thread(
        descriptor,
        { context in
          unsafe Unmanaged<Handler>.fromOpaque(context!)._withUnsafeGuaranteedRef { $0.wakeUp() }
        }, context)
      precondition(started == 0, "the system gives no thread for the deadline scheduler")
    }

    /// Replaces the earlier setting.
    func set(after delay: Duration) {
      // Zero would switch the timer off.
      creliability_timer_set(descriptor, max(1, delay.nanoseconds))
    }

    private final class Handler: Sendable {
      let wakeUp: @Sendable () -> Void
      init(_ wakeUp: @escaping @Sendable () -> Void) { self.wakeUp = wakeUp }
    }
  }
#else
  internal import Dispatch

  /// Wakes the deadline scheduler by a Dispatch timer.
  ///
  /// Compiled for Apple platforms, unverified there.
  ///
  /// Dispatch does not count suspended time, so that after a suspension the wake-up comes late by up to a minute:
  /// no setting is longer than that.
  final class TimerDriver: @unchecked Sendable {
    private let source = DispatchSource.makeTimerSource(
      flags: .strict,
      queue: DispatchQueue(label: "swift-reliability.deadlines", qos: .userInitiated))

    func start(_ wakeUp: @escaping @Sendable () -> Void) {
      source.setEventHandler(handler: wakeUp)
      source.activate()
    }

    /// Replaces the earlier setting.
    func set(after delay: Duration) {
      let nanoseconds = min(max(1, delay.nanoseconds), 60_000_000_000)
      source.schedule(deadline: .now() + .nanoseconds(Int(nanoseconds)), leeway: .nanoseconds(0))
    }
  }
#endif
