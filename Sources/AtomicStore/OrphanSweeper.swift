public import ReliabilityIO

/// Removes the temporary files that killed processes and power cuts left behind, and no others.
///
/// A writer holds a lock (`flock`) on its temporary file from its creation to its end, and the kernel takes the lock
/// away from a process that dies. So a file whose lock is free has no writer: that is proof, where an age or a process
/// number would be a guess.
///
///     let report = try await OrphanSweeper.sweep("/data/downloads")
///     for file in report.removed { print("removed", file.path, file.size) }
///     for file in report.kept where file.reason == .live { print("in use", file.path) }
///
/// Only names that this package makes are looked at, and of those only regular files. Stores sweep their directory by
/// themselves when they are opened, at most once a minute. The guide <doc:OrphansAndDoctor> says what is proven where.
public enum OrphanSweeper {
  /// What is removed and when.
  ///
  ///     var options = OrphanSweeper.Options()
  ///     options.action = .report
  ///     let report = try await OrphanSweeper.sweep("/data", options: options)
  public struct Options: Hashable, Sendable {
    /// What to do with an orphan.
    public enum Action: Hashable, Sendable {
      /// Remove it and say so.
      case remove
      /// Only say so.
      case report
    }

    /// What to do with an orphan.
    public var action: Action

    /// How long a proven orphan that holds bytes stays.
    ///
    /// Not for safety, which the lock gives at any age: an interrupted save may be the last copy of what it was to save,
    /// and this is the time a person or a restarted program has to look. An empty file holds nothing and goes at once.
    public var minimumAge: Duration

    /// How long a file stays of which nothing proves that its writer has ended.
    ///
    /// That is so where the file system has no locks, where they may be local to each machine (a network file system),
    /// and where the file has another name. Here the age is all there is to go by, so it must be longer than any save
    /// takes.
    public var minimumAgeWithoutProof: Duration

    /// Makes options.
    ///
    /// - Parameters:
    ///   - action: What to do with an orphan.
    ///   - minimumAge: How long a proven orphan that holds bytes stays: ten minutes unless told otherwise. Zero or more.
    ///   - minimumAgeWithoutProof: How long a file stays without proof: a day unless told otherwise. Zero or more.
    public init(
      action: Action = .remove, minimumAge: Duration = .seconds(600),
      minimumAgeWithoutProof: Duration = .seconds(86_400)
    ) {
      self.action = action
      self.minimumAge = minimumAge
      self.minimumAgeWithoutProof = minimumAgeWithoutProof
    }

    /// Checks values that came from outside the code.
    ///
    /// - Throws: A `ConfigurationError` that names the field and the rule it breaks.
    public func validate() throws(ConfigurationError) {
      try check(minimumAge >= .zero, "minimumAge", "must not be negative")
      try check(minimumAgeWithoutProof >= .zero, "minimumAgeWithoutProof", "must not be negative")
    }
  }

  /// Sweeps one directory, not those in it.
  ///
  /// Runs on a disk thread and to its end, also when the task is cancelled. Any number of sweepers and writers may work
  /// in the directory at once.
  ///
  /// - Parameters:
  ///   - directory: The directory.
  ///   - options: What is removed and when. Invalid options are a programmer's error and trap.
  ///   - fileSystem: Where it is.
  /// - Returns: What was removed, what was kept and why, and what failed.
  /// - Throws: `SystemCallError` when the directory can't be opened or listed. A file that can't be judged or removed is a
  ///   failure in the report and stops nothing.
  /// - Complexity: O(names in the directory), and six calls for each of ours.
  @discardableResult
  public nonisolated(nonsending) static func sweep(
    _ directory: String, options: Options = Options(), fileSystem: FileSystem = .real
  ) async throws(SystemCallError) -> SweepReport {
    try await DiskExecutor.shared.run { () throws(SystemCallError) in
      try sweepBlocking(directory, options: options, fileSystem: fileSystem)
    }
  }

  /// Sweeps one directory on the calling thread; for callers on a thread of their own.
  ///
  /// - Parameters:
  ///   - directory: The directory.
  ///   - options: What is removed and when. Invalid options are a programmer's error and trap.
  ///   - fileSystem: Where it is.
  /// - Returns: What was removed, what was kept and why, and what failed.
  /// - Throws: `SystemCallError` when the directory can't be opened or listed.
  @available(*, noasync, message: "This blocks its thread; await the asynchronous form.")
  @discardableResult
  public static func sweep(
    _ directory: String, options: Options = Options(), fileSystem: FileSystem = .real
  ) throws(SystemCallError) -> SweepReport {
    try sweepBlocking(directory, options: options, fileSystem: fileSystem)
  }

  static func sweepBlocking(
    _ directory: String, options: Options, fileSystem: FileSystem
  ) throws(SystemCallError) -> SweepReport {
    requireValid(options.validate)
    var sweep = Sweep(
      directory: try OpenDirectory(directory, fileSystem: fileSystem, mayBeUnreadable: false),
      options: options)
    let report = try sweep.run()
    SweepStatistics.shared.count(report)
    return report
  }
}
