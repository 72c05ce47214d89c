extension SimulatedDisk {
  /// Sizes and habits of a ``SimulatedDisk``.
  ///
  ///     var configuration = SimulatedDisk.Configuration()
  ///     configuration.capacity = 64 * 1024
  ///     configuration.allocatesLate = true
  ///     let disk = SimulatedDisk(configuration: configuration)
  public struct Configuration: Hashable, Sendable {
    /// The bytes that reach the medium all or not at all; a write may be cut between two of them.
    public var sectorSize = 512

    /// How many bytes all files together may have, or `nil` for no limit.
    ///
    /// The write that would exceed it is short, and the next one fails.
    public var capacity: Int?

    /// Whether space is only looked for when a file is synced (delayed allocation): writes beyond the capacity succeed,
    /// and the sync fails and loses them.
    public var allocatesLate = false

    /// What a full disk fails with: `ErrorNumber/noSpace`, or `ErrorNumber/quotaExceeded`.
    public var fullDiskError = ErrorNumber.noSpace

    /// The most bytes one file can have.
    public var maximumFileSize = 1 << 32

    /// The bits that new files do not get.
    public var umask: FileMode = 0o022

    /// What the code under test is told about the kind of file system.
    public var kind = "simulated"

    /// Whether the code under test is told that the file system is a network's.
    public var isNetwork = false

    /// Makes the configuration of a local disk without a limit.
    public init() {}

    /// Checks values that come from outside.
    ///
    /// - Throws: `ConfigurationError` with field and rule.
    public func validate() throws(ConfigurationError) {
      try check(sectorSize > 0, "sectorSize", "must be greater than zero")
      try check(capacity ?? 0 >= 0, "capacity", "must not be negative")
      try check(maximumFileSize > 0, "maximumFileSize", "must be greater than zero")
    }
  }
}
