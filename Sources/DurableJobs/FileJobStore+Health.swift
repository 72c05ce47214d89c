public import AtomicStore
public import ReliabilityCore

extension FileJobStore {
  /// What is to be said about the file.
  public struct Health: Sendable {
    /// Why nothing can be changed, or `nil`: it was opened to be read, or is of a later version.
    public internal(set) var readOnlyReason: StoreError?
    /// The failure since which it isn't known what is on the disk, or `nil`; the next call reads it first.
    public internal(set) var outage: StoreError?
    /// Why the latest compaction failed, or `nil`.
    public internal(set) var compactionFailure: StoreError?
    /// Records of a kind that this version does not know; they are kept.
    public internal(set) var unknownRecords: Int
    /// Changes of jobs whose own record is bad.
    public internal(set) var strayChanges: Int
    /// The size of the file.
    public internal(set) var bytes: Int64
    /// What was healed, found bad and quarantined.
    public internal(set) var log: AppendLog.Health
  }

  /// How the file has fared since it was opened.
  public var health: Health {
    let log = log.health
    return state.withLock { state in
      Health(
        readOnlyReason: state.readOnlyReason, outage: state.outage,
        compactionFailure: state.compactionFailure, unknownRecords: state.unknown.count,
        strayChanges: state.strayChanges, bytes: state.end?.offset ?? 0, log: log)
    }
  }
}

extension FileJobStore: MetricsSource {
  /// The size of the file, what was found in it, and the figures of its log.
  public func samples() -> [MetricSample] {
    let health = health
    let figures: [(String, Int, String)] = [
      ("bytes", Int(clamping: health.bytes), "Size of the file of jobs"),
      ("unknown_records", health.unknownRecords, "Records of later versions"),
      ("stray_changes", health.strayChanges, "Changes of jobs whose own record is bad"),
    ]
    return figures.map { name, value, help in
      MetricSample(name: "job_store_\(name)", kind: .gauge, value: Double(value), help: help)
    } + log.samples()
  }
}
