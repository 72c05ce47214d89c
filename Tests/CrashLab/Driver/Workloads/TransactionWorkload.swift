import AtomicStore
import ReliabilityIO

/// `FileTransaction`: two files that grow, one that is replaced, and one that comes and goes, always together.
struct TransactionWorkload: Workload {
  private static let steps = 6

  func run(in place: Place, _ evidence: Evidence) async throws {
    let store: TransactionStore
    do {
      store = try await Self.open(in: place)
    } catch {
      evidence.refused(0, error)
      return
    }
    for step in 1...Self.steps {
      evidence.begin(step)
      do {
        try await store.commit(Self.transaction(step))
        evidence.done(step)
      } catch let error as StoreError where error.code == .outcomeUnknown {
        evidence.unsure(step, error)
      } catch {
        evidence.refused(step, error)
      }
    }
    do { try await store.close() } catch { evidence.refused(0, error) }
  }

  /// A small journal, so that it begins anew in the middle of the work.
  private static func open(in place: Place) async throws -> TransactionStore {
    try await TransactionStore(
      place.directory,
      configuration: TransactionStore.Configuration(
        checkpointSize: 12_000, idleCheckpoint: nil),
      fileSystem: place.fileSystem)
  }

  private static func transaction(_ step: Int) throws -> FileTransaction {
    var transaction = FileTransaction()
    try transaction.append("urls.txt", "\(step) https://example.org/\(step)")
    let filler = String(repeating: "x", count: 700 * step)
    try transaction.append("records.jsonl", #"{"step":\#(step),"filler":"\#(filler)"}"#)
    try transaction.replace("last.txt", with: Content.bytes(step, count: 500 * step))
    if step == 3 { try transaction.replace("extra", with: Content.bytes(step, count: 3000)) }
    if step == 5 { try transaction.remove("extra") }
    return transaction
  }

  func check(_ place: Place, _ history: History, after fault: Fault) async throws -> [String] {
    let store = try await Self.open(in: place)
    var wrong: [String] = []
    if let problem = await store.problem { wrong.append("not applied: \(problem)") }
    let applied = Self.steps(of: place.file("urls.txt")) { $0.prefix { $0.isNumber } }
    let records = Self.steps(of: place.file("records.jsonl")) {
      $0.dropFirst(#"{"step":"#.count).prefix { $0.isNumber }
    }
    wrong += Records.judge(applied, history, after: fault)
    if applied != applied.sorted() { wrong.append("out of order: \(applied)") }
    if records != applied { wrong.append("the files disagree: \(applied) and \(records)") }
    let last = applied.last.map { Content.bytes($0, count: 500 * $0) }
    if Files.read(place.file("last.txt")) != last {
      wrong.append("the replaced file is not that of step \(applied.last ?? 0)")
    }
    let hasExtra = applied.last { $0 == 3 || $0 == 5 } == 3
    if (Files.read(place.file("extra")) != nil) != hasExtra {
      wrong.append("the file that comes and goes is wrong after \(applied)")
    }
    return wrong
  }

  /// What each line of a file says its step is; a line that says none is step -1.
  private static func steps(of path: String, _ number: (Substring) -> Substring) -> [Int] {
    let text = Files.text(path) ?? ""
    if !text.isEmpty && !text.hasSuffix("\n") { return [-1] }
    return text.split(separator: "\n").map { Int(number($0)) ?? -1 }
  }

  func expects(_ name: String) -> Bool {
    ["urls.txt", "records.jsonl", "last.txt", "extra"].contains(name)
      || name.hasPrefix(".transactions.")
  }
}
