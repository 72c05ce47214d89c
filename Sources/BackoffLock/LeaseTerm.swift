internal import ReliabilityCore

/// How long a holder may believe that it has the lease: the state of one hold, without clocks, files or tasks.
///
/// Instants are durations since one origin. The holder counts from before a renewal was sent, contenders from when it
/// arrived, so the holder always gives up first.
///
/// | state | event | next state |
/// |---|---|---|
/// | held until `end` | a renewal sent at `t` is confirmed before `end` | held until `t + duration` |
/// | held until `end` | a renewal is confirmed at `end` or later | lost: expired |
/// | held until `end` | a renewal fails | held until `end`, tried again sooner |
/// | held until `end` | the claim has gone or is another's | lost: taken over |
/// | held until `end` | `end` has come | lost: expired |
/// | lost, finished | anything | the same |
struct LeaseTerm: Hashable, Sendable {
  enum State: Hashable, Sendable {
    case held
    case lost(LeaseLostError.Reason)
    case finished
  }

  let duration: Duration
  private(set) var end: Duration
  private(set) var nextRenewal: Duration
  private(set) var state = State.held

  /// - Parameters:
  ///   - sent: When the claim's time was set, at the latest before that.
  ///   - duration: For how long it counts.
  init(sent: Duration, duration: Duration) {
    self.duration = duration
    end = sent + duration
    nextRenewal = sent + duration / 3
  }

  func isHeld(at now: Duration) -> Bool { state == .held && now < end }

  /// Whether the end has come; if so, it is final.
  ///
  /// - Returns: Whether the lease was lost just now.
  mutating func expire(at now: Duration) -> Bool {
    guard state == .held, now >= end else { return false }
    state = .lost(.expired)
    return true
  }

  /// - Returns: Whether the lease was lost just now.
  mutating func renewed(sent: Duration, at now: Duration) -> Bool {
    guard state == .held else { return false }
    if expire(at: now) { return true }
    end = max(end, sent + duration)
    nextRenewal = sent + duration / 3
    return false
  }

  /// A renewal failed, which may pass: there is time for several more.
  ///
  /// - Returns: Whether the lease was lost just now.
  mutating func renewalFailed(at now: Duration) -> Bool {
    if expire(at: now) { return true }
    nextRenewal = now + duration / 12
    return false
  }

  /// - Returns: Whether the lease was lost just now.
  mutating func takenOver() -> Bool {
    guard state == .held else { return false }
    state = .lost(.takenOver)
    return true
  }

  /// The body has ended; from now on nothing changes.
  ///
  /// - Returns: Why the lease was lost, or `nil` when it was held to the end.
  mutating func finish(at now: Duration) -> LeaseLostError.Reason? {
    _ = expire(at: now)
    if case .lost(let reason) = state { return reason }
    state = .finished
    return nil
  }
}

/// What a contender makes of the claim it meets.
enum ClaimVerdict: Hashable, Sendable {
  /// The holder renews it, or may.
  case live
  /// Not renewed in time.
  case stale
  /// Its holder has certainly ended.
  case dead
  /// It lives by another duration: whether it is stale is not for this contender to say.
  case otherDuration

  /// Judges a claim.
  ///
  /// - Parameters:
  ///   - record: What it says.
  ///   - modified: Its time, in nanoseconds, by the clock of whoever stores it.
  ///   - now: The present by the same clock.
  ///   - duration: The contender's own duration.
  ///   - isDead: Whether its holder has certainly ended.
  init(
    _ record: LeaseRecord, modified: Int64, now: Int64, duration: Duration, isDead: Bool
  ) {
    if isDead {
      self = .dead
    } else if Duration.nanoseconds(now &- modified)
      >= ClaimVerdict.patience(
        max(record.duration, duration), isCoarse: ClaimVerdict.isCoarse(modified, now))
    {
      self = .stale
    } else {
      self = record.duration == duration ? .live : .otherDuration
    }
  }

  /// How old a claim must be to be stale: a tenth above its duration, for clocks that run at different speeds, and two
  /// seconds more where times are kept in whole seconds or pairs of them.
  static func patience(_ duration: Duration, isCoarse: Bool) -> Duration {
    duration + duration / 10 + (isCoarse ? .seconds(2) : .zero)
  }

  private static func isCoarse(_ one: Int64, _ other: Int64) -> Bool {
    one % 1_000_000_000 == 0 && other % 1_000_000_000 == 0
  }
}
