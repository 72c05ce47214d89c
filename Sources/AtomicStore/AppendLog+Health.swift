public import ReliabilityIO
internal import Synchronization

extension AppendLog {
  /// An unfinished end of a log that was healed.
  public struct TornTail: Hashable, Sendable {
    /// Where it began.
    public let offset: Int64
    /// How many bytes it had.
    public let length: Int64
    /// The file that holds these bytes now; `nil` when they were left in the log, behind a newline of their own.
    public let savedAs: String?
  }

  /// A line that is no record: its checksum is wrong, or it never had one.
  public struct BadRecord: Hashable, Sendable {
    /// Where it begins, and in which generation.
    public let position: Position
    /// How many bytes it has, without its newline.
    public let length: Int64
  }

  /// Something a log has to tell.
  public struct Event: Sendable {
    /// The kinds of event.
    public enum Kind: Hashable, Sendable {
      /// An unfinished line at the end was healed.
      case healed(TornTail)
      /// A line that is no record was passed over.
      case badRecord(BadRecord)
      /// A bad record was copied to the quarantine file.
      case quarantined(BadRecord)
      /// A sync failed, and the log went on in a new file with the same content.
      case rewrittenAfterFailedSync(SystemCallError)
      /// The log was compacted.
      case compacted(Compaction)
    }

    /// What happened.
    public let kind: Kind
    /// The log.
    public let path: String
  }

  /// How a log has fared since it was opened, and what was found wrong with it.
  public struct Health: Hashable, Sendable {
    /// The newest unfinished ends that were healed, at most 100.
    public internal(set) var tornTails: [TornTail] = []
    /// The bad records that were met, at most 100.
    public internal(set) var badRecords: [BadRecord] = []
    /// Why the log can't be appended to, or `nil`.
    public internal(set) var readOnlyReason: StoreError?
    /// Why a power cut may take away the file's name, or `nil`.
    public internal(set) var nameNotDurable: NotDurableReason?
    /// Why bad records could not be copied to the quarantine file, or `nil`.
    public internal(set) var quarantineFailure: StoreError?
    /// What was done.
    public internal(set) var counts = Counts()

    static let maximumKept = 100
  }

  /// What a log has done since it was opened.
  public struct Counts: Hashable, Sendable {
    /// Records appended.
    public internal(set) var records = 0
    /// Bytes appended, checksums and newlines included.
    public internal(set) var bytes = 0
    /// Writes; with many callers at once fewer than records.
    public internal(set) var writes = 0
    /// Syncs.
    public internal(set) var syncs = 0
    /// Rounds that failed.
    public internal(set) var failures = 0
    /// Unfinished ends healed.
    public internal(set) var tornTails = 0
    /// Bad records met, each once.
    public internal(set) var badRecords = 0
    /// New files after a failed sync.
    public internal(set) var rewrites = 0
    /// Compactions.
    public internal(set) var compactions = 0
  }

  /// How the log has fared.
  public var health: Health { shared.withLock { $0.health } }

  /// The file that bad records are copied to.
  public var quarantinePath: String { path + ".quarantine" }

  /// Adds news to the health and keeps the events for ``deliverEvents()``.
  func note(_ news: LogNews) {
    if news.isEmpty { return }
    let wantsEvents = options.observer != nil
    let hasEvents: Bool = shared.withLock { shared in
      shared.health.add(news)
      if wantsEvents {
        shared.events += news.kinds.map { Event(kind: $0, path: path) }
      }
      return !shared.events.isEmpty
    }
    if hasEvents { eventsWaiting.store(true, ordering: .releasing) }
  }

  /// Calls the observer, on the caller's own task.
  func deliverEvents() {
    guard eventsWaiting.exchange(false, ordering: .acquiringAndReleasing) else { return }
    let events = shared.withLock { shared in
      let events = shared.events
      shared.events = []
      return events
    }
    for event in events { options.observer?(event) }
  }
}

extension AppendLog.Health {
  mutating func add(_ news: LogNews) {
    counts.add(news.counts)
    for kind in news.kinds {
      switch kind {
      case .healed(let tail):
        counts.tornTails += 1
        tornTails.append(tail)
        if tornTails.count > Self.maximumKept { tornTails.removeFirst() }
      case .rewrittenAfterFailedSync: counts.rewrites += 1
      case .compacted: counts.compactions += 1
      case .badRecord, .quarantined: break
      }
    }
  }
}

extension AppendLog.Counts {
  mutating func add(_ other: Self) {
    records += other.records
    bytes += other.bytes
    writes += other.writes
    syncs += other.syncs
    failures += other.failures
  }
}

/// What a stretch of work on the file has to tell.
struct LogNews: Sendable {
  var kinds: [AppendLog.Event.Kind] = []
  var counts = AppendLog.Counts()

  var isEmpty: Bool { kinds.isEmpty && counts == AppendLog.Counts() }
}

extension AppendLog: MetricsSource {
  /// The counts as `append_log_…_total`.
  public func samples() -> [MetricSample] {
    let counts = health.counts
    let figures: [(String, Int, String)] = [
      ("records", counts.records, "Records appended"),
      ("bytes", counts.bytes, "Bytes appended"),
      ("writes", counts.writes, "Writes of one or more records"),
      ("syncs", counts.syncs, "Syncs"),
      ("failures", counts.failures, "Rounds of appends that failed"),
      ("torn_tails", counts.tornTails, "Unfinished ends healed"),
      ("bad_records", counts.badRecords, "Lines that are no records"),
      ("rewrites", counts.rewrites, "New files after a failed sync"),
      ("compactions", counts.compactions, "Compactions"),
    ]
    return figures.map { name, value, help in
      MetricSample(
        name: "append_log_\(name)_total", kind: .counter, value: Double(value), help: help)
    }
  }
}
