import Reliability

/// Shows how a number of workers get on: a bar and a line for each on a terminal, plain lines elsewhere.
///
///     let display = ProgressDisplay(terminal: Terminal(.error), total: 64)
///     display.begin(worker: 0, "track-001.wav")
///     display.advance(worker: 0, bytes: 512, of: 1024)
///     display.end(worker: 0, "track-001.wav 1.0 KB", isGood: true)
///     display.close()
///
/// Drawing happens in the calls themselves, ten times a second at most; there is no thread and no timer.
public final class ProgressDisplay: Sendable {
  private let terminal: Terminal
  private let isQuiet: Bool
  private let state: Lock<State>

  private struct Worker {
    var title: String
    /// `nil` before it is known how many were there already.
    var bytes: Int?
    var expected: Int?
  }

  private struct State {
    var workers: [Int: Worker] = [:]
    var done = 0
    var failed = 0
    var bytes = 0
    var drawnLines = 0
    var drawnAt: ContinuousClock.Instant?
    var isClosed = false
    var total: Int
    var status: (@Sendable () -> String)?
    let start = ContinuousClock.now
  }

  /// Makes a display.
  ///
  /// Nothing is shown before the first call.
  ///
  /// - Parameters:
  ///   - terminal: Where to draw.
  ///   - total: How many things there are to do.
  ///   - isQuiet: Whether to show nothing at all.
  public init(terminal: Terminal, total: Int, isQuiet: Bool = false) {
    self.terminal = terminal
    self.isQuiet = isQuiet
    state = Lock(State(total: total))
  }

  /// There are so many things to do in all now.
  public func expect(_ total: Int) { state.withLock { $0.total = total } }

  /// What else is to be said beside the totals, such as open breakers; asked whenever something is drawn.
  public func show(_ status: @escaping @Sendable () -> String) {
    state.withLock { $0.status = status }
  }

  /// A worker starts on something, or goes on with it.
  ///
  /// - Parameters:
  ///   - worker: The worker's number.
  ///   - title: What it works on.
  ///   - isContinued: Whether there may be something already; what is there first is then not counted as new.
  public func begin(worker: Int, _ title: String, isContinued: Bool = false) {
    update { state in
      state.workers[worker] = Worker(title: title, bytes: isContinued ? nil : 0)
    }
  }

  /// How many bytes have come in all, what came in vain included.
  var bytes: Int { state.withLock { $0.bytes } }

  /// A worker has so many bytes of what it works on.
  ///
  /// - Parameters:
  ///   - worker: The worker's number.
  ///   - bytes: How many bytes it has by now.
  ///   - expected: How many there will be, or `nil` when that is not known.
  public func advance(worker: Int, bytes: Int, of expected: Int?) {
    update { state in
      guard let known = state.workers[worker] else { return }
      let before = known.bytes ?? bytes
      state.workers[worker]?.bytes = bytes
      state.workers[worker]?.expected = expected
      state.bytes += max(0, bytes - before)
    }
  }

  /// A worker is done with what it worked on.
  ///
  /// - Parameters:
  ///   - worker: The worker's number.
  ///   - line: What to say about it where there is no bar; also shown above the bar when it is not good. `nil` for
  ///     something that was given up.
  ///   - isGood: Whether it succeeded.
  public func end(worker: Int, _ line: String?, isGood: Bool) {
    if isQuiet {
      // Silence is for what goes well.
      if let line, !isGood { Terminal(.error).write("\(line)\n") }
      return
    }
    state.withLock { state in
      guard !state.isClosed else { return }
      state.workers[worker] = nil
      guard let line else { return }
      state.done += 1
      if !isGood { state.failed += 1 }
      let mark = isGood ? terminal.styled("ok", .green) : terminal.styled("failed", .red)
      if terminal.canRedraw {
        if !isGood { insert("\(mark)  \(line)", &state) } else { redraw(&state) }
      } else {
        terminal.write("\(mark)  \(line)\n")
      }
    }
  }

  /// Shows a line about something that happened: above the bar, or as a plain line.
  public func note(_ line: String) {
    guard !isQuiet else { return }
    state.withLock { state in
      guard !state.isClosed else { return }
      insert(terminal.styled(line, .dim), &state)
    }
  }

  /// Takes the bar away and shows nothing any more.
  ///
  /// May be called twice.
  public func close() {
    state.withLock { state in
      guard !state.isClosed else { return }
      state.isClosed = true
      state.status = nil
      if state.drawnLines > 0 { terminal.write(erase(state.drawnLines) + "\u{1b}[?25h") }
    }
  }

  private func update(_ change: (inout sending State) -> Void) {
    guard !isQuiet else { return }
    state.withLock { state in
      change(&state)
      if terminal.canRedraw, !state.isClosed { redraw(&state) }
    }
  }

  private func insert(_ line: String, _ state: inout State) {
    let erased = state.drawnLines > 0 ? erase(state.drawnLines) : ""
    state.drawnLines = 0
    state.drawnAt = nil
    terminal.write("\(erased)\(line)\n")
    if terminal.canRedraw { redraw(&state) }
  }

  private func redraw(_ state: inout State) {
    let now = ContinuousClock.now
    if let last = state.drawnAt, now - last < .milliseconds(100) { return }
    let hide = state.drawnAt == nil ? "\u{1b}[?25l" : ""
    state.drawnAt = now
    let lines = picture(state, width: terminal.width, now: now)
    let erased = state.drawnLines > 0 ? erase(state.drawnLines) : ""
    state.drawnLines = lines.count
    terminal.write(hide + erased + lines.map { $0 + "\n" }.joined())
  }

  /// Up so many lines, and everything below away.
  private func erase(_ lines: Int) -> String { "\u{1b}[\(lines)A\r\u{1b}[J" }

  private func picture(_ state: State, width: Int, now: ContinuousClock.Instant) -> [String] {
    let seconds = (now - state.start) / .seconds(1)
    let rate = ByteText.short(Int(Double(state.bytes) / max(seconds, 0.001))) + "/s"
    let failed = state.failed > 0 ? ", \(state.failed) failed" : ""
    let done = state.total > 0 ? "\(state.done)/\(state.total)" : "\(state.done) done"
    var figures = "\(done)\(failed)  \(ByteText.short(state.bytes))  \(rate)"
    let left = state.total - state.done
    if left > 0, state.done > 0 {
      figures += "  ETA \(Self.clock(seconds * Double(left) / Double(state.done)))"
    }
    if let more = state.status?(), !more.isEmpty { figures += "  \(more)" }
    var lines = [
      Self.line(
        title: figures, done: state.done, of: state.total, width: width, terminal: terminal)
    ]
    for (_, worker) in state.workers.sorted(by: { $0.key < $1.key }) {
      let bytes = worker.bytes ?? 0
      let size =
        ByteText.short(bytes) + (worker.expected.map { " of \(ByteText.short($0))" } ?? "")
      lines.append(
        Self.line(
          title: "  \(worker.title)  \(size)", done: bytes, of: worker.expected ?? 0,
          width: width, terminal: terminal))
    }
    return lines
  }

  /// Minutes and seconds, or hours and minutes.
  static func clock(_ seconds: Double) -> String {
    let whole = Int(min(max(seconds, 0), 359_999).rounded(.up))
    func two(_ number: Int) -> String { number < 10 ? "0\(number)" : "\(number)" }
    return whole < 3600
      ? "\(whole / 60):\(two(whole % 60))" : "\(whole / 3600) h \(two(whole / 60 % 60)) min"
  }

  /// A bar and a text, never longer than the line: a wrapped line would break drawing in place.
  private static func line(
    title: String, done: Int, of total: Int, width: Int, terminal: Terminal
  ) -> String {
    let barWidth = min(30, max(0, width / 3))
    let filled = total > 0 ? min(barWidth, max(0, done) * barWidth / total) : 0
    let bar =
      terminal.styled(String(repeating: "━", count: filled), .green)
      + terminal.styled(String(repeating: "─", count: barWidth - filled), .dim)
    return bar + " " + title.prefix(max(0, width - barWidth - 2))
  }
}

/// Numbers of bytes for people.
public enum ByteText {
  /// Three digits or so and a unit of 1000: `512 B`, `1.5 KB`, `34 MB`.
  public static func short(_ bytes: Int) -> String {
    var value = Double(max(0, bytes))
    guard value >= 1000 else { return "\(Int(value)) B" }
    for unit in ["KB", "MB", "GB", "TB", "PB"] {
      value /= 1000
      if value < 999.5 || unit == "PB" {
        let tenths = Int((value * 10).rounded())
        return tenths < 100
          ? "\(tenths / 10).\(tenths % 10) \(unit)" : "\(Int(value.rounded())) \(unit)"
      }
    }
    return "\(bytes) B"
  }
}
