import ReliabilityIO
import ReliabilityTesting
import Testing

@testable import DeadLetterQueue

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#elseif canImport(Musl)
  import Musl
#endif

struct Order: Codable, Sendable, Equatable {
  var number: Int
  var note = ""
}

/// A failure with a text and a category of its own.
struct Broken: ClassifiedError, CustomStringConvertible {
  var text = "the till is broken"
  var category = ErrorCategory.dependency
  var retryability: Retryability { .retryable() }
  var description: String { text }
}

/// An error that says: not sent.
struct TurnedAway: LocalRejection {
  var category: ErrorCategory { .overload }
  var retryability: Retryability { .notRetryable }
}

/// What observers were told.
final class Events: Sendable {
  private let list = Lock<[DeadLetterEvent.Kind]>([])

  func add(_ event: DeadLetterEvent) { list.withLock { $0.append(event.kind) } }

  var all: [DeadLetterEvent.Kind] { list.withLock { $0 } }

  /// Letters that left in a way.
  func departed(_ wanted: DeadLetterEvent.Departure) -> [UInt64] {
    all.flatMap { kind -> [UInt64] in
      if case .departed(let ids, wanted) = kind { ids.map(\.rawValue) } else { [] }
    }
  }

  var reports: [DeadLetter.RedriveReport] {
    all.compactMap { if case .redriveEnded(let report) = $0 { report } else { nil } }
  }
}

/// How often each order was worked on.
final class Tally: Sendable {
  private let runs = Lock<[Int: Int]>([:])

  func count(_ number: Int) { runs.withLock { $0[number, default: 0] += 1 } }

  var all: [Int: Int] { runs.withLock { $0 } }
}

/// A directory of one test, removed with it.
final class Scratch: Sendable {
  let path: String

  init() {
    var template = Array("/tmp/reliability-letters-XXXXXX".utf8CString)
    precondition(unsafe mkdtemp(&template) != nil, "no scratch directory")
    path = String(decoding: template.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self)
  }

  func file(_ name: String) -> String { path + "/" + name }

  deinit {
    if let directory = try? OpenDirectory(path, fileSystem: .real) {
      for name in (try? directory.entries()) ?? [] {
        try? FileSystem.real.backend.unlink(path + "/" + name, in: nil)
      }
    }
    try? FileSystem.real.backend.removeDirectory(path, in: nil)
  }
}

extension DeadLetterQueue where Payload == Order {
  @discardableResult
  func add(
    _ number: Int, kind: String = "charge", _ error: any Error = Broken()
  ) async throws -> DeadLetter.ID {
    try await add(Order(number: number), kind: kind, error: error)
  }

  /// The numbers of all orders here, by id.
  func numbers(_ filter: DeadLetter.Filter = .all) async throws -> [Int] {
    try await everything(filter).map { try $0.payload(as: Order.self).number }
  }
}

extension DeadLetterQueue {
  /// All letters, page by page.
  func everything(
    _ filter: DeadLetter.Filter = .all, pageSize: Int = 7,
    order: DeadLetter.Order = .oldestFirst
  ) async throws -> [DeadLetter] {
    var letters: [DeadLetter] = []
    var cursor: DeadLetter.Cursor?
    repeat {
      let page = try await self.letters(
        matching: filter, after: cursor, limit: pageSize, order: order)
      letters += page.letters
      cursor = page.next
    } while cursor != nil
    return letters
  }
}

/// Where a queue is kept in a test that holds for both.
enum Kept: String, CaseIterable, Sendable {
  case inMemory, onDisk

  func queue(
    _ configuration: DeadLetterConfiguration = .init(), on disk: SimulatedDisk = Self.disk()
  ) async throws -> DeadLetterQueue<Order> {
    switch self {
    case .inMemory: DeadLetterQueue(configuration: configuration)
    case .onDisk:
      try await DeadLetterQueue(
        "data/letters", configuration: configuration, fileSystem: disk.fileSystem)
    }
  }

  /// A disk with an empty directory.
  static func disk(
    _ configuration: SimulatedDisk.Configuration = .init()
  ) -> SimulatedDisk {
    let disk = SimulatedDisk(seed: 1, configuration: configuration)
    try! disk.write("data/other", "x")
    return disk
  }
}
