public import ReliabilityIO
internal import Synchronization

/// Writes files that are old or new, never in between.
///
/// `replace` saves bytes in one call. An instance is a file being written in pieces, such as a download: content
/// goes to a temporary file beside the target and takes its name only with `publish()`. Until then it can be read
/// back, cut and continued.
///
///     let file = try await AtomicFile(replacing: "video.mp4")
///     for try await chunk in body { try await file.append(chunk) }
///     let outcome = try await file.publish()
///
/// Without `publish()` nothing happens to the target, and the temporary file is removed by `discard()` or when the
/// last reference goes. The guide <doc:AtomicStore> has the exact sequence and what each error means.
///
/// Every operation has two forms. The asynchronous one runs on the package's disk threads and never blocks the
/// cooperative pool; it runs to its end also when its task is cancelled, because a save that is needed on the way
/// out is the last one to give up. The synchronous one is for callers on a thread of their own.
///
/// Any number of saves may go to one path at once: each has a temporary file of its own and the last rename wins,
/// whole. One instance may be used from several tasks; operations run one at a time, in the order they were called.
public final class AtomicFile: Sendable {
  /// The path as it was given.
  public let path: String

  /// Where the content is until it is published.
  public let temporaryPath: String

  private let written = Atomic<Int64>(0)
  private let file: Lock<TemporaryFile?>
  /// In front of the lock, so that those who wait for it hold no disk thread.
  private let turns = TurnQueue()

  /// How many bytes were appended so far.
  ///
  /// Never waits, so a progress bar may ask at any time.
  public var size: Int64 { written.load(ordering: .acquiring) }

  /// Starts a file that will replace the one at a path.
  ///
  /// - Parameters:
  ///   - path: The file to replace or create. Its directory must exist.
  ///   - options: How it is replaced.
  ///   - fileSystem: Where it is.
  /// - Throws: ``StoreError`` when the path can't be replaced or no file can be made beside it.
  public nonisolated(nonsending) convenience init(
    replacing path: String, options: Options = Options(), fileSystem: FileSystem = .real
  ) async throws(StoreError) {
    let temporary = try await DiskExecutor.shared.run { () throws(StoreError) in
      try TemporaryFile(for: path, options: options, fileSystem: fileSystem)
    }
    self.init(path, temporary)
  }

  /// Starts a file that will replace the one at a path; for callers on a thread of their own.
  ///
  /// - Parameters:
  ///   - path: The file to replace or create. Its directory must exist.
  ///   - options: How it is replaced.
  ///   - fileSystem: Where it is.
  /// - Throws: ``StoreError`` when the path can't be replaced or no file can be made beside it.
  @available(*, noasync, message: "This blocks its thread; await the asynchronous form.")
  public convenience init(
    replacing path: String, options: Options = Options(), fileSystem: FileSystem = .real
  ) throws(StoreError) {
    self.init(path, try TemporaryFile(for: path, options: options, fileSystem: fileSystem))
  }

  private init(_ path: String, _ temporary: consuming TemporaryFile) {
    self.path = path
    temporaryPath = temporary.path
    file = Lock(temporary)
  }
}

extension AtomicFile {
  /// Runs an operation on a disk thread when it is its turn.
  nonisolated(nonsending) func inTurn<R>(
    _ body: @escaping @Sendable () throws(StoreError) -> sending R
  ) async throws(StoreError) -> sending R {
    await turns.take()
    defer { turns.give() }
    return try await DiskExecutor.shared.run(body)
  }

  /// Runs an operation on the file, alone.
  func withFile<R: ~Copyable>(
    _ body: (inout TemporaryFile) throws(StoreError) -> R
  ) throws(StoreError) -> R {
    try file.withLock { (file) throws(StoreError) in
      guard var open = file.take() else { throw StoreError(.closed, path: path) }
      // Back in its place whatever happens, unless its name is gone: then it has ended.
      do throws(StoreError) {
        let result = try body(&open)
        settle(open, in: &file)
        return result
      } catch {
        settle(open, in: &file)
        throw error
      }
    }
  }

  private func settle(_ open: consuming TemporaryFile, in file: inout TemporaryFile?) {
    let size = open.size
    if open.isNamed { file = consume open }
    written.store(size, ordering: .releasing)
  }
}
