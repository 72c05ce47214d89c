/// Something a dead-letter queue has to tell.
///
///     configuration.observer = { event in
///       if case .piledUp(let count, _) = event.kind { page("\(count) dead letters in \(event.queue)") }
///     }
public struct DeadLetterEvent: Sendable {
  /// Why a letter left without being redriven.
  public enum Departure: Hashable, Sendable {
    /// Somebody discarded it and said why.
    case discarded(reason: String)
    /// There was no room, and it was the oldest: lost.
    case dropped
    /// There was no room, and it was the oldest: it is in the archive.
    case spilled
    /// It was here longer than the retention allows, or was one too many.
    case expired
    /// Its record went bad on the disk; what is left of it is in the log's quarantine file.
    case damaged
  }

  /// The kinds of event.
  public enum Kind: Sendable {
    /// A letter came.
    case added(DeadLetter.ID, kind: String, category: ErrorCategory, fingerprint: String)
    /// A letter was refused.
    case refused(DeadLetterError, kind: String)
    /// Letters left.
    case departed([DeadLetter.ID], Departure)
    /// A redrive succeeded, and the letter left.
    case redriven(DeadLetter.ID)
    /// A redrive failed, and the letter stays.
    case failedAgain(DeadLetter.ID, redriveCount: Int, reason: String)
    /// A letter was not redriven, since its payload does not decode. It stays as it is.
    case undecodable(DeadLetter.ID, any Error)
    /// A redrive of several letters ended, in whatever way.
    case redriveEnded(DeadLetter.RedriveReport)
    /// There are more letters than ``DeadLetterConfiguration/Alert/count``.
    case piledUp(count: Int, limit: Int)
    /// More letters came within the window than ``DeadLetterConfiguration/Alert/arrivals``.
    case arrivingFast(arrivals: Int, window: Duration)
    /// The log was compacted.
    case compacted(AppendLog.Compaction)
    /// Upkeep failed: a compaction or the removal of what is past its retention.
    ///
    /// Nothing is lost; it is tried again later.
    case upkeepFailed(any Error)
    /// The log told something: a healed end, a bad record.
    case log(AppendLog.Event)
  }

  /// What happened.
  public let kind: Kind
  /// The queue's name.
  public let queue: String
}
