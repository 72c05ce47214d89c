internal import ReliabilityCore

/// What runs when, and what the last answers are: pure, and without a clock of its own.
///
/// | a component's run | event | next | action |
/// |---|---|---|---|
/// | none | due, or asked for | in progress | begin |
/// | in progress | ended | none | record |
/// | in progress | its time is over | overdue | record a failure, cancel |
/// | overdue | due, or asked for | overdue | nothing: it is not started twice |
/// | overdue | ended | none | nothing: the answer came too late |
///
/// Time is nanoseconds on the monitor's clock.
struct HealthStateMachine: Sendable {
  /// One run of one check; a number is never used twice.
  struct RunID: Hashable, Sendable {
    var component: Int
    var number: Int
  }

  struct Begin: Hashable, Sendable {
    var run: RunID
    var end: Int64
  }

  struct Run: Hashable, Sendable {
    var number: Int
    var startedAt: Int64
    var isOverdue = false
    var isCancelled = false
  }

  struct Rules: Hashable, Sendable {
    var interval: Int64
    var timeout: Int64
    /// How old an answer may be.
    var lifetime: Int64
  }

  /// The last answer.
  struct Answer: Sendable {
    var outcome: CheckOutcome
    var at: Int64
    var wallTime: WallTime
    var took: Int64
  }

  struct Component: Sendable {
    let rules: Rules
    var due = Int64.min
    var run: Run?
    var answer: Answer?
    var counts = CheckCounts()

    /// How well it is at a moment: an old success is no success, an old failure is still the best guess.
    func status(at now: Int64) -> HealthStatus {
      guard let answer, let status = answer.outcome.status else { return .unknown }
      if status == .fail { return .fail }
      return now.saturatingMinus(answer.at) > rules.lifetime ? .stale : status
    }

    /// Puts the next start on the first beat after now, so that slow checks don't pile up.
    mutating func scheduleNext(startedAt: Int64, now: Int64) {
      let late = max(0, now.saturatingMinus(startedAt)) / rules.interval
      due = startedAt.saturatingPlus(
        late >= .max / rules.interval ? .max : (late + 1) * rules.interval)
    }
  }

  /// What an event changed in one component.
  struct Change: Sendable {
    var component: Int
    var before: HealthStatus
    var after: HealthStatus
    /// Released by the caller outside its lock: it may hold a user's error.
    var previous: Answer?
    /// How long the run of a recorded answer took; `nil` when none was recorded.
    var took: Int64?
    var hasAnswer: Bool { took != nil }
    var becameOverdue = false
    var endedLate = false
  }

  private(set) var components: [Component]
  /// How many callers keep the schedule going.
  private(set) var runners = 0
  private var nextNumber = 1

  init(_ rules: [Rules]) {
    components = rules.map { Component(rules: $0) }
  }

  /// When something is to be started next; `nil` while nothing is.
  var nextDue: Int64? {
    guard runners > 0 else { return nil }
    return components.lazy.filter { $0.run == nil }.map(\.due).min()
  }

  /// Somebody keeps the schedule going from now on; the first begins with all.
  mutating func start() {
    runners += 1
    guard runners == 1 else { return }
    for index in components.indices { components[index].due = .min }
  }

  /// One keeps it going no longer.
  ///
  /// - Parameter awaited: Runs that somebody waits for.
  /// - Returns: After the last one, the runs to cancel: those that only the schedule wanted.
  mutating func stop(awaited: Set<RunID>) -> [RunID] {
    runners -= 1
    guard runners == 0 else { return [] }
    return components.indices.compactMap { index in
      guard let run = components[index].run, !run.isOverdue, !run.isCancelled else { return nil }
      let id = RunID(component: index, number: run.number)
      guard !awaited.contains(id) else { return nil }
      components[index].run?.isCancelled = true
      return id
    }
  }

  /// Starts what is due.
  mutating func tick(at now: Int64) -> [Begin] {
    guard runners > 0 else { return [] }
    return components.indices.compactMap { index in
      components[index].run == nil && components[index].due <= now ? begin(index, at: now) : nil
    }
  }

  /// Starts everything that is not running.
  ///
  /// - Returns: What to begin, and the runs whose ends are the answers; those that are overdue have answered already.
  mutating func startAll(at now: Int64) -> (begin: [Begin], awaited: Set<RunID>) {
    var begun: [Begin] = []
    var awaited: Set<RunID> = []
    for index in components.indices {
      if let run = components[index].run {
        if !run.isOverdue { awaited.insert(RunID(component: index, number: run.number)) }
      } else {
        begun.append(begin(index, at: now))
        awaited.insert(begun[begun.count - 1].run)
      }
    }
    return (begun, awaited)
  }

  private mutating func begin(_ index: Int, at now: Int64) -> Begin {
    let number = nextNumber
    nextNumber += 1
    components[index].run = Run(number: number, startedAt: now)
    components[index].scheduleNext(startedAt: now, now: now)
    return Begin(
      run: RunID(component: index, number: number),
      end: now.saturatingPlus(components[index].rules.timeout))
  }

  /// A run's time is over.
  mutating func expired(_ id: RunID, at now: Int64, wallTime: WallTime) -> Change? {
    guard let run = components[id.component].run, run.number == id.number, !run.isOverdue
    else { return nil }
    components[id.component].run?.isOverdue = true
    var change = record(run.isCancelled ? .cancelled : .timedOut, of: id, run, now, wallTime)
    change.becameOverdue = true
    return change
  }

  /// A run has ended.
  mutating func ended(
    _ id: RunID, _ outcome: CheckOutcome, at now: Int64, wallTime: WallTime
  ) -> Change? {
    guard let run = components[id.component].run, run.number == id.number else { return nil }
    components[id.component].run = nil
    components[id.component].scheduleNext(startedAt: run.startedAt, now: now)
    if run.isOverdue {
      let status = components[id.component].status(at: now)
      return Change(
        component: id.component, before: status, after: status, previous: nil, endedLate: true)
    }
    return record(run.isCancelled ? .cancelled : outcome, of: id, run, now, wallTime)
  }

  private mutating func record(
    _ outcome: CheckOutcome, of id: RunID, _ run: Run, _ now: Int64, _ wallTime: WallTime
  ) -> Change {
    let before = components[id.component].status(at: now)
    components[id.component].counts.count(outcome)
    guard outcome.status != nil else {
      return Change(
        component: id.component, before: before, after: before, previous: nil)
    }
    let previous = components[id.component].answer
    components[id.component].answer = Answer(
      outcome: outcome, at: now, wallTime: wallTime, took: now.saturatingMinus(run.startedAt))
    return Change(
      component: id.component, before: before, after: components[id.component].status(at: now),
      previous: previous, took: now.saturatingMinus(run.startedAt))
  }
}

/// How often a check ended in which way.
struct CheckCounts: Hashable, Sendable {
  var passed = 0
  var warned = 0
  var failed = 0
  var timedOut = 0
  var cancelled = 0

  /// All of them.
  var total: Int { passed + warned + failed + timedOut + cancelled }

  mutating func count(_ outcome: CheckOutcome) {
    switch outcome {
    case .timedOut: timedOut += 1
    case .cancelled: cancelled += 1
    case .failed: failed += 1
    case .reading(let reading):
      switch reading.status {
      case .pass: passed += 1
      case .warn: warned += 1
      default: failed += 1
      }
    }
  }
}
