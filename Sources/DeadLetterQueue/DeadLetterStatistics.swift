/// How a dead-letter queue stands, and what it has done since it was opened.
///
///     let statistics = queue.statistics
///     print(statistics.count, statistics.counts.dropped, statistics.oldestAge ?? .zero)
public struct DeadLetterStatistics: Hashable, Sendable {
  /// What a queue has done since it was opened.
  public struct Counts: Hashable, Sendable {
    /// Letters that came.
    public internal(set) var added = 0
    /// Letters refused.
    public internal(set) var refused = 0
    /// Letters lost for lack of room.
    public internal(set) var dropped = 0
    /// Letters moved to the archive for lack of room.
    public internal(set) var spilled = 0
    /// Letters discarded.
    public internal(set) var discarded = 0
    /// Letters past their retention.
    public internal(set) var expired = 0
    /// Letters whose record went bad.
    public internal(set) var damaged = 0
    /// Redrives that succeeded.
    public internal(set) var redriven = 0
    /// Redrives that failed.
    public internal(set) var failedAgain = 0
    /// Redrives that ended by cancellation or before they reached the other side.
    public internal(set) var redrivesCancelled = 0
    /// Letters met whose payload does not decode.
    public internal(set) var undecodable = 0
  }

  /// Letters now.
  public internal(set) var count = 0
  /// Their bytes as they are stored.
  public internal(set) var bytes = 0
  /// The size of the file, `nil` in memory.
  public internal(set) var fileBytes: Int64?
  /// Letters that are being redriven now.
  public internal(set) var redriving = 0
  /// How long the oldest letter is here, `nil` when there is none.
  public internal(set) var oldestAge: Duration?
  /// Records of a kind this version does not know; they are kept.
  public internal(set) var unknownRecords = 0
  /// What was done.
  public internal(set) var counts = Counts()
}
