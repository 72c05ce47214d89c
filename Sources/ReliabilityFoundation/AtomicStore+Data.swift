public import AtomicStore
public import Foundation

extension AtomicFile {
  /// Replaces the content of the file at a URL in one step; see `replace(_:with:options:fileSystem:)`.
  ///
  /// - Parameters:
  ///   - url: A file URL; any other is ``AtomicStore/StoreError/Code/invalidPath``.
  ///   - data: The whole new content; may be empty.
  ///   - options: How it is replaced.
  ///   - fileSystem: Where it is.
  /// - Returns: How durable the new content is, and what could not be kept of the old file.
  /// - Throws: `StoreError` when the file was left as it was. A cancelled task's save runs to its end.
  @discardableResult
  public nonisolated(nonsending) static func replace(
    _ url: URL, with data: Data, options: Options = Options(), fileSystem: FileSystem = .real
  ) async throws(StoreError) -> PublishOutcome {
    let path = try filePath(of: url)
    return try await replace(path, with: [UInt8](data), options: options, fileSystem: fileSystem)
  }

  /// Reads the whole file at a URL.
  ///
  /// - Parameters:
  ///   - url: A file URL; any other is ``AtomicStore/StoreError/Code/invalidPath``.
  ///   - fileSystem: Where it is.
  /// - Returns: The content, or `nil` when there is no such file. Use `contents(of:fileSystem:)` with a path to learn what
  ///   its checksum says.
  /// - Throws: `StoreError` when it can't be read. A cancelled task's read runs to its end.
  public nonisolated(nonsending) static func data(
    at url: URL, fileSystem: FileSystem = .real
  ) async throws(StoreError) -> Data? {
    let path = try filePath(of: url)
    return try await contents(of: path, fileSystem: fileSystem).map { Data($0.bytes) }
  }

  /// Starts a file that will replace the one at a URL.
  ///
  /// - Parameters:
  ///   - url: A file URL; any other is ``AtomicStore/StoreError/Code/invalidPath``.
  ///   - options: How it is replaced.
  ///   - fileSystem: Where it is.
  /// - Throws: `StoreError` when the file can't be replaced or none can be made beside it.
  public nonisolated(nonsending) convenience init(
    replacing url: URL, options: Options = Options(), fileSystem: FileSystem = .real
  ) async throws(StoreError) {
    try await self.init(
      replacing: AtomicFile.filePath(of: url), options: options, fileSystem: fileSystem)
  }

  /// Adds the bytes of `Data` at the end; see `append(_:)`.
  ///
  /// - Parameter data: The bytes.
  /// - Throws: `StoreError`; none of the bytes count then.
  public nonisolated(nonsending) func append(_ data: Data) async throws(StoreError) {
    try await append([UInt8](data))
  }

  private static func filePath(of url: URL) throws(StoreError) -> String {
    guard url.isFileURL else { throw StoreError(.invalidPath, path: url.absoluteString) }
    return url.path(percentEncoded: false)
  }
}

extension AtomicDocument {
  /// Names the document at a file URL; touches nothing yet.
  ///
  /// - Parameters:
  ///   - url: A file URL; any other is a programmer's error and traps.
  ///   - configuration: How it is kept.
  ///   - fileSystem: Where it is.
  ///   - clock: Measures the wait for the lock.
  ///   - observer: Told of what went on although a call succeeded.
  public convenience init(
    url: URL, configuration: Configuration = Configuration(), fileSystem: FileSystem = .real,
    clock: any TimeSource = ContinuousClock(), observer: (@Sendable (DocumentEvent) -> Void)? = nil
  ) {
    precondition(url.isFileURL, "a document needs a file URL")
    self.init(
      url.path(percentEncoded: false), configuration: configuration, fileSystem: fileSystem,
      clock: clock, observer: observer)
  }
}
