import AtomicStore
import BackoffLock
import FoundationEssentials
import ReliabilityIO

/// The processes of `StoreLab`: each changes what all share, again and again.
enum StoreWorker {
  enum Kind: String {
    case document, log, transaction

    init(_ text: String) {
      guard let kind = Kind(rawValue: text) else { System.fail("no such kind: \(text)") }
      self = kind
    }
  }

  /// A process numbers its steps from its serial number times this.
  static let stepsOfProcess = 100_000

  static func run(_ arguments: Arguments) async -> Int32 {
    let place = Place(directory: arguments["directory"], fileSystem: .real)
    let evidence = Evidence(arguments["evidence"])
    if arguments[optional: "role"] == "read" { return read(place, evidence) }
    let serial = arguments.int("serial")
    let first = serial * stepsOfProcess
    let steps = first..<(first + arguments.int("times", default: stepsOfProcess))
    do {
      switch Kind(arguments["kind"]) {
      case .document: try await document(place, evidence, steps, serial)
      case .log: try await log(place, evidence, steps, serial)
      case .transaction: try await transactions(place, evidence, steps)
      }
      return 0
    } catch {
      evidence.refused(first, error)
      return 1
    }
  }

  private static func document(
    _ place: Place, _ evidence: Evidence, _ steps: Range<Int>, _ serial: Int
  ) async throws {
    let document = AtomicDocument<Tally>(place.file("document"))
    for step in steps {
      evidence.begin(step)
      try await document.update(default: Tally()) { $0.counts["\(serial)", default: 0] += 1 }
      evidence.done(step)
    }
  }

  /// Reads the document as any other program would: at every instant it is there and whole.
  private static func read(_ place: Place, _ evidence: Evidence) -> Int32 {
    var wasThere = false
    for count in 1... {
      let bytes = Files.read(place.file("document"))
      if let bytes {
        wasThere = true
        if (try? JSONDecoder().decode(Tally.self, from: Data(bytes))) == nil {
          evidence.violation("a reader found \(bytes.count) bytes that are no JSON")
        }
      } else if wasThere {
        evidence.violation("a reader found no document")
      }
      if count % 16 == 0, wasThere { evidence.published(0) }
      System.sleep(microseconds: 500)
    }
    return 0
  }

  /// Appends; every seventh process also damages the log as programs do that know nothing of it.
  private static func log(
    _ place: Place, _ evidence: Evidence, _ steps: Range<Int>, _ serial: Int
  ) async throws {
    let log = try await AppendLog(place.file("log"))
    for step in steps {
      let text = String(repeating: "x", count: step * 97 % 3000)
      evidence.begin(step)
      try await log.append(encoding: Tally(step: step, text: text))
      evidence.done(step)
      if serial % 7 == 0, step % 5 == 0 {
        try await damage(place, step % 2 == 0 ? "{\"half\":" : "{\"n\":1,\"_crc\":\"00000000\"}\n")
      }
    }
  }

  /// Between two appends, because a foreign program's bytes in the middle of one are its own fault.
  private static func damage(_ place: Place, _ text: String) async throws {
    try await BackoffLock(place.file("log.lock")).withLock { _ in
      System.appendRaw(text, to: System.openToAppend(place.file("log")))
    }
  }

  private static func transactions(
    _ place: Place, _ evidence: Evidence, _ steps: Range<Int>
  ) async throws {
    let store = try await TransactionStore(place.directory)
    for step in steps {
      evidence.begin(step)
      try await store.commit { transaction in
        try transaction.append("a.txt", "\(step)")
        try transaction.append("b.txt", "\(step)")
        try transaction.replace("last.txt", with: Array("\(step)".utf8))
      }
      evidence.done(step)
    }
  }
}
