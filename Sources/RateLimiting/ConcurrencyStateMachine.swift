internal import ReliabilityCore

/// The rules of a concurrency limiter, without locks, tasks or timers: who may begin, who waits, who is next.
///
/// As long as somebody waits, as many are in flight as may be; so nobody who comes later can be faster. Times are in
/// nanoseconds.
struct ConcurrencyStateMachine<Waiter: Sendable>: Sendable {
  /// What comes of a call that is willing to wait.
  enum Admission {
    case granted
    case refused(ConcurrencyLimitedError.Code, wait: Int64?)
    /// In the line; `ticket` is how to leave it.
    case waiting(Waiter, ticket: LineTicket)
  }

  /// How many may be in flight.
  private(set) var limit: Int
  /// How many are.
  ///
  /// May be above a limit that fell.
  private(set) var inFlight = 0
  private(set) var gradient: GradientLimit?
  private let maximumWaiters: Int
  private var line = WaitingLine<Waiter>()
  private var pace = LinePace()

  init(_ limit: ConcurrencyLimit, maximumWaiters: Int, now: Int64) {
    switch limit.shape {
    case .fixed(let limit): self.limit = limit
    case .adaptive(let settings):
      let gradient = GradientLimit(settings, now: now)
      self.limit = gradient.limit
      self.gradient = gradient
    }
    self.maximumWaiters = maximumWaiters
  }

  var waiting: Int { line.count }

  /// When a probe is given up for which somebody waits.
  var probeEnd: Int64? { line.isEmpty ? nil : gradient?.probeEnd }

  /// How long one who comes now is likely to wait; `nil` when there is no telling.
  var projectedWait: Int64? { line.isEmpty ? nil : pace.wait(at: line.count + 1) }

  /// Begins a call now or not at all.
  mutating func tryAcquire() -> Bool {
    guard inFlight < limit else { return false }
    inFlight += 1
    return true
  }

  /// Begins a call now, or joins the line, unless that is full or can't be served before the deadline.
  mutating func acquire(
    deadline: Int64?, now: Int64, waiter: @autoclosure () -> Waiter
  ) -> Admission {
    if tryAcquire() { return .granted }
    let wait = projectedWait
    if let deadline {
      // The pace is a measured one; only what is twice too long is hopeless.
      guard now < deadline, (wait ?? 0) / 2 <= deadline - now else {
        return .refused(.deadline, wait: wait)
      }
    }
    guard line.count < maximumWaiters else { return .refused(.queueFull, wait: wait) }
    if line.isEmpty { pace.begin(now: now) }
    let newcomer = waiter()
    return .waiting(newcomer, ticket: line.append(newcomer))
  }

  /// Leaves the line; `nil` when the waiter has been served already.
  mutating func leave(_ ticket: LineTicket) -> Waiter? { line.remove(ticket) }

  /// A call has ended that nobody waits for and whose end says nothing.
  ///
  /// - Returns: `false`, and does nothing, when it is not that simple.
  mutating func endPlainly() -> Bool {
    guard line.isEmpty else { return false }
    inFlight -= 1
    return true
  }

  /// A call has ended.
  ///
  /// - Returns: Those whose turn it is; they are in flight now.
  mutating func end(_ outcome: ConcurrencyLimiter.Outcome, start: Int64, now: Int64) -> [Waiter] {
    gradient?.end(outcome, start: start, inFlight: inFlight, now: now)
    inFlight -= 1
    return serve(now: now)
  }

  /// Sets the limit.
  ///
  /// - Returns: Those whose turn it is.
  mutating func resize(to limit: Int, now: Int64) -> [Waiter] {
    if gradient == nil { self.limit = limit } else { gradient?.move(to: limit, now: now) }
    return serve(now: now)
  }

  /// Looks at the time.
  ///
  /// - Returns: Those whose turn it is.
  mutating func advance(now: Int64) -> [Waiter] {
    gradient?.giveUpProbe(now: now)
    return serve(now: now)
  }

  private mutating func serve(now: Int64) -> [Waiter] {
    if let limit = gradient?.limit { self.limit = limit }
    var served: [Waiter] = []
    while inFlight < limit, let waiter = line.removeFirst() {
      inFlight += 1
      served.append(waiter)
    }
    if !served.isEmpty { pace.served(served.count, now: now) }
    return served
  }
}
