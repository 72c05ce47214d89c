public import BackoffLock
public import ReliabilityIO

/// A value in a JSON file that survives crashes, full disks, damaged disks and other programs.
///
///     struct Settings: Codable, Sendable { var volume = 5 }
///     let document = AtomicDocument<Settings>("settings.json")
///     let settings = try await document.update(default: Settings()) { $0.volume += 1 }
///     print(settings.volume)  // 6, on disk and durable
///
/// The file is plain JSON that every other tool reads and writes. A save replaces it in one step, keeps the previous
/// content as a backup, and records a checksum beside the content (not in it); a load takes the newest content that is
/// sound. ``update(default:timeout:_:)`` loses no change however many tasks and processes make some at once. The guide
/// <doc:SavingDocuments> has the exact rules.
///
/// Every writer should go through a document (of any process); readers need not.
///
/// Two documents for one path in one program are allowed and exclude each other. All operations are asynchronous and
/// never block the cooperative pool. A cancelled task stops waiting for the lock with `CancellationError`; once a save
/// has begun, it is finished.
public final class AtomicDocument<Value: Codable & Sendable>: Sendable {
  /// How a document is kept.
  public struct Configuration: Sendable {
    /// How the file is replaced.
    ///
    /// Unlike ``AtomicFile``'s own defaults these keep one backup and record a checksum. `createOnly` and `ifUnchanged`
    /// are set by each save and must not be set here.
    public var file = AtomicFile.Options(backups: 1, recordsChecksum: true)

    /// How the value is written.
    public var format = DocumentFormat()

    /// How the lock `<name>.lock` beside the file is taken.
    public var lock = BackoffLock.Configuration()

    /// The defaults: durable, one backup, a checksum, pretty JSON.
    public init() {}

    /// Checks values that came from outside the code.
    ///
    /// - Throws: `ConfigurationError` with the field and the rule that its value breaks.
    public func validate() throws(ConfigurationError) {
      try file.validate()
      try check(!file.createOnly, "file.createOnly", "is not for documents")
      try check(file.ifUnchanged == nil, "file.ifUnchanged", "is given to save(_:ifUnchanged:)")
    }
  }

  /// The path as it was given.
  public let path: String

  let file: DocumentFile
  let format: DocumentFormat
  let observer: (@Sendable (DocumentEvent) -> Void)?
  let figures = DocumentFigures()

  /// Names a document; touches nothing yet.
  ///
  /// - Parameters:
  ///   - path: The file. It need not exist; its directory must, unless `configuration.file.createsDirectories` is set.
  ///   - configuration: How it is kept; a value that breaks a rule is a programmer's error and traps.
  ///   - fileSystem: Where it is.
  ///   - clock: Measures the wait for the lock.
  ///   - observer: Told of what went on although a call succeeded; called outside locks.
  public init(
    _ path: String, configuration: Configuration = Configuration(),
    fileSystem: FileSystem = .real, clock: any TimeSource = ContinuousClock(),
    observer: (@Sendable (DocumentEvent) -> Void)? = nil
  ) {
    requireValid(configuration.validate)
    self.path = path
    file = DocumentFile(
      path, options: configuration.file, lock: configuration.lock, fileSystem: fileSystem,
      clock: clock)
    format = configuration.format
    self.observer = observer
  }

  func tell(_ kind: DocumentEvent.Kind) {
    figures.count(kind)
    observer?(DocumentEvent(path: path, kind: kind))
  }
}

extension AtomicDocument: MetricsSource {
  /// Saves, failed saves, recoveries, files moved aside, failed backups and edits by other programs.
  public func samples() -> [MetricSample] { figures.samples() }
}
