public import ReliabilityIO

extension AtomicFile {
  /// Replaces a file's content, or creates the file, in one step that readers and crashes can't see halfway.
  ///
  /// Runs on a disk thread; a cancelled task's save still runs to its end. Saves to one path from several tasks
  /// are each whole, and the last one stays.
  ///
  /// - Parameters:
  ///   - path: The file. Its directory must exist.
  ///   - bytes: The whole new content; may be empty.
  ///   - options: How it is replaced.
  ///   - fileSystem: Where it is.
  /// - Returns: How durable the new content is, and what could not be kept of the old file.
  /// - Throws: ``StoreError`` when the file was left as it was; no temporary file is left then, or the error
  ///   names it.
  @discardableResult
  public nonisolated(nonsending) static func replace(
    _ path: String, with bytes: [UInt8], options: Options = Options(),
    fileSystem: FileSystem = .real
  ) async throws(StoreError) -> PublishOutcome {
    try await DiskExecutor.shared.run { () throws(StoreError) in
      try replaceBlocking(path, with: bytes.span, options: options, fileSystem: fileSystem)
    }
  }

  /// Replaces a file's content on the calling thread; for callers on a thread of their own.
  ///
  /// - Parameters:
  ///   - path: The file. Its directory must exist.
  ///   - bytes: The whole new content; may be empty.
  ///   - options: How it is replaced.
  ///   - fileSystem: Where it is.
  /// - Returns: How durable the new content is, and what could not be kept of the old file.
  /// - Throws: ``StoreError`` when the file was left as it was.
  @available(*, noasync, message: "This blocks its thread; await the asynchronous form.")
  @discardableResult
  public static func replace(
    _ path: String, with bytes: [UInt8], options: Options = Options(),
    fileSystem: FileSystem = .real
  ) throws(StoreError) -> PublishOutcome {
    try replaceBlocking(path, with: bytes.span, options: options, fileSystem: fileSystem)
  }

  /// Replaces a file's content with bytes that need not be in an array; for callers on a thread of their own.
  ///
  /// - Parameters:
  ///   - path: The file. Its directory must exist.
  ///   - bytes: The whole new content; may be empty.
  ///   - options: How it is replaced.
  ///   - fileSystem: Where it is.
  /// - Returns: How durable the new content is, and what could not be kept of the old file.
  /// - Throws: ``StoreError`` when the file was left as it was.
  @available(*, noasync, message: "This blocks its thread; await the asynchronous form.")
  @discardableResult
  public static func replace(
    _ path: String, with bytes: Span<UInt8>, options: Options = Options(),
    fileSystem: FileSystem = .real
  ) throws(StoreError) -> PublishOutcome {
    try replaceBlocking(path, with: bytes, options: options, fileSystem: fileSystem)
  }

  /// Replaces a file's content on the calling thread.
  ///
  /// - Parameter rule: Whether the old content may become a backup, where the options ask for some.
  static func replaceUncounted(
    _ path: String, with bytes: Span<UInt8>, options: Options, fileSystem: FileSystem,
    backup rule: BackupRule
  ) throws(StoreError) -> PublishOutcome {
    do throws(StoreError) {
      var file = try TemporaryFile(for: path, options: options, fileSystem: fileSystem)
      do throws(StoreError) {
        try file.append(bytes)
      } catch {
        throw file.abandon(error.code, error.cause)
      }
      return try file.publish(rule)
    } catch {
      guard case .inPlaceWithBackup(let backup) = options.unreplaceable,
        [.targetIsMountPoint, .directoryNotWritable].contains(error.code)
      else { throw error }
      return try writeInPlace(
        path, bytes, options: options, fileSystem: fileSystem, backup: backup, rule, reason: error)
    }
  }
}
