public import AtomicStore
public import ReliabilityCore

extension FileJobStore {
  /// What is written before a body runs, so that a crash while it runs is known afterwards.
  public enum ClaimRecord: Hashable, Sendable {
    /// It is synced: the crash count survives a power cut too. One sync more for each job.
    case synced
    /// It is written: the crash count survives everything that ends the program, a power cut apart.
    case written
    /// Nothing: a job that kills its worker is run again and again.
    case none
  }

  /// How a store is opened.
  ///
  ///     var options = FileJobStore.Options()
  ///     options.limits.capacity = 100_000
  ///     options.durability = .none  // a power cut may take the last ones
  ///     let store = try await FileJobStore("jobs.jsonl", options: options)
  public struct Options: Sendable {
    /// How many jobs it takes, and how it treats them.
    public var limits = JobStoreOptions()
    /// Who may do what.
    public var access = Access.readWrite
    /// What must be true of a change after a power cut when its call returns; `full` by default.
    ///
    /// With `none` a call returns when it is written: a crash of the program loses nothing, a power cut what the kernel had not
    /// written back, some seconds of work. With `ordered` the file is synced, but not its name when it is new.
    public var durability = Durability.full
    /// What is written before a body runs.
    public var claimRecord = ClaimRecord.written
    /// How long opening waits for another owner to go, zero by default.
    public var ownerTimeout = Duration.zero
    /// How many bytes the file may have beyond twice what its jobs take, 32 MiB by default; then it is compacted.
    public var compactionSlack = 32 << 20
    /// Told what was healed, found bad or compacted in the file; called outside locks.
    public var logObserver: (@Sendable (AppendLog.Event) -> Void)?

    /// Makes the defaults.
    public init() {}

    /// Checks values that came from outside the code.
    ///
    /// - Throws: A `ConfigurationError` that names the field and the rule it breaks.
    public func validate() throws(ConfigurationError) {
      try limits.validate()
      try check(ownerTimeout >= .zero, "ownerTimeout", "must not be negative")
      try check(compactionSlack >= 0, "compactionSlack", "must not be negative")
    }
  }
}
