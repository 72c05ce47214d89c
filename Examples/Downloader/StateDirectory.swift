internal import Foundation
internal import Reliability
internal import ReliabilityExampleSupport

/// Where jobs and dead letters survive the program, owned by one process at a time.
///
/// The kernel gives the lock back when that process dies, however it dies. A running `serve` says in `owner.json` where it
/// listens, so that other commands can ask it.
final class StateDirectory: Sendable {
  /// Who owns a directory.
  struct Owner: Codable, Hashable, Sendable {
    var pid: Int32
    /// `run` or `serve`.
    var command: String
    /// Where it answers, such as `127.0.0.1:8080`.
    var listen: String?
    /// The file of the token that it asks for.
    var tokenFile: String?

    private enum CodingKeys: String, CodingKey {
      case pid, command, listen, tokenFile = "token_file"
    }
  }

  let path: String
  private let held: Lock<HeldLock?>

  private init(_ path: String, _ held: consuming HeldLock) {
    self.path = path
    self.held = Lock(held)
  }

  /// Makes the directory unless it is there, and takes it.
  ///
  /// - Throws: ``StateInUse`` when somebody else has it; ``OutputError`` when it can't be made.
  static func open(_ path: String, command: String) async throws -> StateDirectory {
    try await OutputDirectory.prepare(path, option: "state")
    guard let held = try await BackoffLock("\(path)/owner").tryLock() else {
      throw StateInUse(path: path, owner: readOwner(path))
    }
    let directory = StateDirectory(path, held)
    try await directory.announce(
      Owner(pid: ProcessInfo.processInfo.processIdentifier, command: command))
    return directory
  }

  /// Who has a directory now, `nil` when nobody has.
  static func owner(of path: String) async throws -> StateInUse? {
    guard FileManager.default.fileExists(atPath: path) else {
      throw OutputError(path: path, "there is no such directory", option: "state")
    }
    if let held = try await BackoffLock("\(path)/owner").tryLock() {
      held.release()
      return nil
    }
    return StateInUse(path: path, owner: readOwner(path))
  }

  /// Writes down who we are.
  func announce(_ owner: Owner) async throws {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .prettyPrinted, .withoutEscapingSlashes]
    let bytes = Array(try encoder.encode(owner))
    try await AtomicFile.replace(
      "\(path)/owner.json", with: bytes, options: AtomicFile.Options(durability: .none))
  }

  private static func readOwner(_ path: String) -> Owner? {
    guard let data = FileManager.default.contents(atPath: "\(path)/owner.json") else { return nil }
    return try? JSONDecoder().decode(Owner.self, from: data)
  }

  // MARK: What is in it

  /// The jobs.
  ///
  /// - Parameters:
  ///   - limits: How many it takes.
  ///   - durability: What a power cut may take of what was acknowledged.
  func openStore(
    _ limits: JobStoreOptions, durability: Durability = .full
  ) async throws -> FileJobStore {
    var options = FileJobStore.Options()
    options.limits = limits
    options.durability = durability
    return try await FileJobStore("\(path)/jobs.jsonl", options: options)
  }

  /// The dead letters.
  func openLetters(
    _ configuration: DeadLetterConfiguration = DeadLetterConfiguration()
  ) async throws -> DeadLetterQueue<DownloadJob> {
    var configuration = configuration
    configuration.name = "downloads"
    return try await DeadLetterQueue("\(path)/dead-letters.jsonl", configuration: configuration)
  }

  /// Closes everything and gives the directory back.
  func close(_ downloads: DownloadQueue?) async throws {
    try await downloads?.letters.close()
    try await (downloads?.queue.store as? FileJobStore)?.close()
    _ = held.withLock { $0.take() }
  }
}

/// Somebody else has the state directory.
struct StateInUse: ClassifiedError, CustomStringConvertible {
  let path: String
  let owner: StateDirectory.Owner?

  var category: ErrorCategory { .validation }
  var retryability: Retryability { .retryable() }
  var userMessage: String? { "\(description)." }
  var suggestedActions: [String] { ["Wait until it has ended, or choose another --state."] }

  var description: String {
    let who = owner.map { "process \($0.pid) (\($0.command))" } ?? "another process"
    return "the state directory \(path.quotedForDisplay) is in use by \(who)"
  }
}
