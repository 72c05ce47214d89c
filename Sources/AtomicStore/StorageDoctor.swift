public import ReliabilityIO

/// Finds out what a directory's file system can promise, by trying.
///
/// What a mount can do depends on its kind, its options, the server behind it and the container around it, so the
/// doctor makes the calls that this package relies on, in the directory itself, and looks at their effect.
///
///     let report = try await StorageDoctor.examine("/mnt/share")
///     print(report)
///     if case .holds = report.guarantee(.durableSave).verdict {} else { print("not for documents") }
///
/// It works with hidden temporary files of its own and removes them, whatever fails; after a `kill -9` in the middle
/// ``OrphanSweeper`` knows them. Nothing else in the directory is read or changed.
public enum StorageDoctor {
  /// Examines a directory.
  ///
  /// Takes a few milliseconds on a local disk. Runs on a disk thread and to its end, also when the task is cancelled. On a
  /// network file system whose server is silent it waits as long as the mount's options say, maybe for ever: for such a
  /// place use a `withTimeout` that abandons.
  ///
  /// - Parameters:
  ///   - directory: The directory. Where it may not be written, the report says so and leaves the rest untested.
  ///   - fileSystem: Where it is.
  /// - Returns: What was found, and what follows from it.
  /// - Throws: `SystemCallError` when the directory can't be opened.
  public nonisolated(nonsending) static func examine(
    _ directory: String, fileSystem: FileSystem = .real
  ) async throws(SystemCallError) -> StorageReport {
    try await DiskExecutor.shared.run { () throws(SystemCallError) in
      try examineBlocking(directory, fileSystem: fileSystem)
    }
  }

  /// Examines a directory on the calling thread; for callers on a thread of their own.
  ///
  /// - Parameters:
  ///   - directory: The directory.
  ///   - fileSystem: Where it is.
  /// - Returns: What was found, and what follows from it.
  /// - Throws: `SystemCallError` when the directory can't be opened.
  @available(*, noasync, message: "This blocks its thread; await the asynchronous form.")
  public static func examine(
    _ directory: String, fileSystem: FileSystem = .real
  ) throws(SystemCallError) -> StorageReport {
    try examineBlocking(directory, fileSystem: fileSystem)
  }

  private static func examineBlocking(
    _ directory: String, fileSystem: FileSystem
  ) throws(SystemCallError) -> StorageReport {
    var examination = Examination(
      directory: try OpenDirectory(directory, fileSystem: fileSystem), path: directory)
    return examination.run()
  }
}
