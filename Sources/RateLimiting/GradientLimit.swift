internal import ReliabilityCore

/// The limit that ``AdaptiveLimit`` describes: samples in, a limit out.
///
/// Times are in nanoseconds.
struct GradientLimit: Sendable {
  /// The samples since the limit was last looked at.
  private struct Window: Sendable {
    var start: Int64
    var successes = 0
    var drops = 0
    var totalTime = 0.0
    var mostInFlight = 0
  }

  /// A stretch with a quarter of the limit, in which the usual time is measured anew.
  private struct Probe: Sendable {
    var start: Int64
    /// When it is given up, for want of calls that end.
    var end: Int64
    var samples = 0
    var totalTime = 0.0
  }

  /// The mean at first, then exponentially weighted.
  private struct UsualTime: Sendable {
    static let warmUp = 10
    var value = 0.0
    var count = 0

    mutating func add(_ time: Double, over windows: Int) {
      count += 1
      let weight = count <= Self.warmUp ? 1 / Double(count) : 2 / Double(windows + 1)
      value += (time - value) * weight
    }
  }

  /// The limit before rounding, probes aside.
  private(set) var estimate: Double
  private let settings: AdaptiveLimit
  private let windowLength: Int64
  private let probeInterval: Int64?
  private var usual = UsualTime()
  private var window: Window
  private var probe: Probe?
  private var nextProbe: Int64
  private var generator: any RandomNumberGenerator & Sendable

  init(_ settings: AdaptiveLimit, now: Int64) {
    self.settings = settings
    estimate = Double(settings.initial)
    windowLength = settings.window.nanoseconds
    probeInterval = settings.probeInterval?.nanoseconds
    window = Window(start: now)
    generator = settings.randomness.makeGenerator()
    nextProbe = .max
    scheduleProbe(after: now)
  }

  /// How many calls may be in flight now.
  var limit: Int {
    let limit = Int(estimate)
    return probe == nil ? limit : max(settings.minimum, limit / 4)
  }

  /// When the present probe is given up; `nil` when there is none.
  var probeEnd: Int64? { probe?.end }

  /// The usual time of a call, for those who look.
  var usualTime: Int64 { Int64(usual.value) }

  /// A call has ended.
  ///
  /// - Parameters:
  ///   - outcome: How. One that is ignored says only that so many were in flight.
  ///   - start: When it began.
  ///   - inFlight: How many were in flight, this one included.
  mutating func end(
    _ outcome: ConcurrencyLimiter.Outcome, start: Int64, inFlight: Int, now: Int64
  ) {
    giveUpProbe(now: now)
    let time = Double(max(1, now - start))
    if probe != nil {
      return endInProbe(outcome, start: start, time: time, now: now)
    }
    window.mostInFlight = max(window.mostInFlight, inFlight)
    switch outcome {
    case .success:
      window.successes += 1
      window.totalTime += time
    case .dropped: window.drops += 1
    case .ignored: return
    }
    guard window.successes + window.drops >= settings.windowSamples,
      now - window.start >= windowLength
    else { return }
    let wasUsed = 2 * window.mostInFlight >= Int(estimate)
    adapt(wasUsed: wasUsed)
    window = Window(start: now)
    if wasUsed && now >= nextProbe { beginProbe(now: now) }
  }

  /// Puts the limit somewhere else, from where it goes on.
  mutating func move(to limit: Int, now: Int64) {
    estimate = Double(min(max(limit, settings.minimum), settings.maximum))
    probe = nil
    window = Window(start: now)
  }

  /// Ends a probe in which too little happened.
  mutating func giveUpProbe(now: Int64) {
    if let probe, now >= probe.end { endProbe(now: now) }
  }

  private mutating func adapt(wasUsed: Bool) {
    var target = estimate
    if window.successes > 0 {
      let time = window.totalTime / Double(window.successes)
      usual.add(time, over: settings.longWindow)
      let gradient = min(1, max(0.5, settings.tolerance * usual.value / time))
      // After a slow stretch the average would take long to come down again.
      if usual.value > 2 * time { usual.value *= 0.95 }
      let aim = estimate * gradient + settings.headroom * (2 * gradient - 1)
      target += (aim - estimate) * settings.smoothing
    }
    guard wasUsed else { return }
    if window.drops > 0 { target = min(target, estimate * settings.dropFactor) }
    estimate = min(max(target, Double(settings.minimum)), Double(settings.maximum))
  }

  private mutating func beginProbe(now: Int64) {
    scheduleProbe(after: now)
    guard Int(estimate) > settings.minimum, usual.count > 0 else { return }
    let patience = 20 * max(Double(windowLength), usual.value)
    probe = Probe(start: now, end: now + Int64(min(patience, 0x1p61)))
  }

  private mutating func endInProbe(
    _ outcome: ConcurrencyLimiter.Outcome, start: Int64, time: Double, now: Int64
  ) {
    switch outcome {
    case .ignored: return
    // Counts when the probe is over.
    case .dropped: window.drops += 1
    // One that began before shared the other side with more than a quarter.
    case .success where start >= probe!.start:
      probe!.samples += 1
      probe!.totalTime += time
    case .success: return
    }
    guard let probe, probe.samples >= settings.windowSamples else { return }
    usual = UsualTime(
      value: probe.totalTime / Double(probe.samples), count: UsualTime.warmUp)
    endProbe(now: now)
  }

  private mutating func endProbe(now: Int64) {
    probe = nil
    window = Window(start: now, drops: window.drops)
  }

  private mutating func scheduleProbe(after now: Int64) {
    guard let probeInterval else { return }
    // Spread, so that many who began together don't probe together.
    let bits: UInt64 = generator.next()
    let chance = Double(bits >> 11) * 0x1p-53
    nextProbe = now + Int64(Double(probeInterval) * (0.9 + 0.2 * chance))
  }
}
