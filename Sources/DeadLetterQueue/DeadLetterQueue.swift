/// Keeps work that failed for good, with its whole story, until a person or a rule decides about it.
///
///     let queue = try await DeadLetterQueue<Order>("/var/lib/shop/dead-letters.jsonl")
///     try await queue.add(order, kind: "charge", error: error)  // on disk when it returns
///     for group in queue.groups() { print(group.count, group.fingerprint, group.kinds) }
///     let report = try await queue.redrive(.kind("charge")) { order, letter in
///       try await charge(order)
///     }
///     print(report.succeeded, report.failed)
///
/// On disk it is a log of JSON lines with a checksum each; in memory it is the same without the file. What `add` has taken
/// survives a power cut, what was discarded never comes back, and a redrive that a crash interrupts is done again: at
/// least once. Payloads stay bytes until they are asked for, so one that no longer decodes blocks nothing.
///
/// A file has one owner at a time; others may open it to read. The guide <doc:DeadLetterQueue> tells the rest.
public final class DeadLetterQueue<Payload: Codable & Sendable>: Sendable {
  /// What holds for payloads of every type.
  package let core: LetterCore

  /// The file, `nil` for a queue in memory.
  public var path: String? { core.log?.path }

  /// How the queue keeps its letters.
  public var configuration: DeadLetterConfiguration { core.configuration }

  /// Makes a queue in memory, which ends with the program.
  ///
  /// - Parameter configuration: How letters are kept; a bad value traps, see
  ///   ``DeadLetterConfiguration/validate()``.
  public init(configuration: DeadLetterConfiguration = DeadLetterConfiguration()) {
    core = LetterCore(configuration)
  }

  /// Opens a queue on disk, and makes the file when it is missing.
  ///
  /// Reads the file once, from beginning to end. A file of a later version is opened to read only: everything that would
  /// change it throws. With `.readOnly` nothing is locked and nothing is written, and what the owner does meanwhile is seen
  /// after ``refresh()``.
  ///
  /// - Parameters:
  ///   - path: The file. Its directory must exist. `<path>.owner` and `<path>.lock` are kept beside it.
  ///   - access: Whether to own it.
  ///   - configuration: How letters are kept; a bad value traps, see ``DeadLetterConfiguration/validate()``.
  ///   - fileSystem: Where it is.
  /// - Throws: `StoreError`, with the code `inUse` and the owner when somebody else has it; `LockError`,
  ///   `LockTimeoutError`; `CancellationError`.
  /// - Complexity: O(size of the file); about a hundred bytes of memory a letter are kept.
  public nonisolated(nonsending) init(
    _ path: String, access: AppendLog.Access = .readWrite,
    configuration: DeadLetterConfiguration = DeadLetterConfiguration(),
    fileSystem: FileSystem = .real
  ) async throws {
    core = try await LetterCore(
      path, access: access, configuration: configuration, fileSystem: fileSystem)
  }

  // MARK: Adding

  /// Takes work that failed for good.
  ///
  /// Not cancellable: the work has failed, and a task that is being cancelled may still say so.
  ///
  /// - Parameters:
  ///   - payload: What is needed to do the work again. Stored as JSON.
  ///   - kind: What kind of work it was: one of a small set of words.
  ///   - error: What ended it. Its report is made here, with the contexts and attempts it carries.
  ///   - reason: Why it is given up; the error's message when nothing is said.
  /// - Returns: Its name in the queue, once it is as durable as the configuration says.
  /// - Throws: ``DeadLetterError`` when it is refused; `StoreError` with the path when the disk fails, which has taken
  ///   nothing unless its code is `appendUncertain`; `EncodingError`.
  @discardableResult
  public nonisolated(nonsending) func add(
    _ payload: Payload, kind: String, error: any Error, reason: String? = nil
  ) async throws -> DeadLetter.ID {
    var draft = DeadLetter.Draft(kind: kind, error: error, options: configuration.reports)
    draft.reason = reason
    return try await add(payload, as: draft)
  }

  /// Takes work that failed for good, with its history.
  ///
  /// - Parameters:
  ///   - payload: What is needed to do the work again. Stored as JSON.
  ///   - draft: What is known of its failure.
  /// - Returns: Its name in the queue.
  /// - Throws: As ``add(_:kind:error:reason:)``.
  @discardableResult
  public nonisolated(nonsending) func add(
    _ payload: Payload, as draft: DeadLetter.Draft
  ) async throws -> DeadLetter.ID {
    try await core.add(draft, payload: try PayloadCoding.encode(payload))
  }

  /// Takes the bytes of a payload as they are, whatever they are.
  ///
  /// For work whose payload nobody could decode: it is kept byte for byte.
  ///
  /// - Parameters:
  ///   - payload: Any bytes.
  ///   - draft: What is known of its failure.
  /// - Returns: Its name in the queue.
  /// - Throws: As ``add(_:kind:error:reason:)``.
  @discardableResult
  public nonisolated(nonsending) func add(
    bytes payload: [UInt8], as draft: DeadLetter.Draft
  ) async throws -> DeadLetter.ID {
    try await core.add(draft, payload: payload)
  }
}
