import AtomicStore
import ReliabilityIO
import ReliabilityTestSupport

/// The value of the documents in these tests.
struct Settings: Codable, Hashable, Sendable {
  var name = "ж 猫 🐈 \"a/b\"\n"
  var count = 0
  var ratio: Double? = 0.5
  var tags: [String] = []
  var nested: [String: Double] = [:]
}

/// Collects what a document tells.
final class EventLog: Sendable {
  private let list = Lock<[DocumentEvent]>([])

  var kinds: [DocumentEvent.Kind] { list.withLock { $0 }.map(\.kind) }

  func add(_ event: DocumentEvent) { list.withLock { $0.append(event) } }

  /// The path that a file was moved to.
  var quarantined: [String] {
    kinds.compactMap { if case .quarantined(let file) = $0 { file.path } else { nil } }
  }
}

extension ScratchDirectory {
  /// Names without lock files.
  var documents: [String] { names.filter { !$0.contains(".lock") } }

  func document(
    _ name: String = "settings.json", backups: Int = 1, on disk: FaultyFileSystem? = nil,
    events: EventLog = EventLog()
  ) -> AtomicDocument<Settings> {
    var configuration = AtomicDocument<Settings>.Configuration()
    configuration.file.backups = backups
    return AtomicDocument(
      file(name), configuration: configuration, fileSystem: disk?.fileSystem ?? .real,
      observer: { events.add($0) })
  }
}
