import AtomicStore
import FoundationEssentials
import ReliabilityIO

/// `AppendLog`: records one by one and in batches, with a compaction in between.
struct LogWorkload: Workload {
  /// A record: one step, or in a snapshot those it stands for.
  struct Entry: Codable {
    var steps: [Int]
    var text = ""
  }

  func run(in place: Place, _ evidence: Evidence) async throws {
    let log: AppendLog
    do {
      log = try await Self.open(in: place)
    } catch {
      evidence.refused(0, error)
      return
    }
    try await Self.append([1], to: log, evidence)
    try await Self.append([2], to: log, evidence)
    try await Self.append([3, 4, 5], to: log, evidence)
    do {
      try await Self.compact(log)
    } catch {
      evidence.refused(0, error)
    }
    for step in 6...8 { try await Self.append([step], to: log, evidence) }
    do { try await log.close() } catch { evidence.refused(0, error) }
  }

  private static func open(in place: Place) async throws -> AppendLog {
    var options = AppendLog.Options()
    options.idleHold = .zero
    return try await AppendLog(place.file("log"), options: options, fileSystem: place.fileSystem)
  }

  private static func append(
    _ steps: [Int], to log: AppendLog, _ evidence: Evidence
  ) async throws {
    let records = try steps.map { step in
      let text = String(decoding: Content.bytes(step, count: step * 900), as: UTF8.self)
      return try encoded(Entry(steps: [step], text: text))
    }
    for step in steps { evidence.begin(step) }
    do {
      let receipt = try await log.append(contentsOf: records)
      for step in steps {
        if receipt.isDurable { evidence.done(step) } else { evidence.published(step) }
      }
    } catch let error as StoreError where error.code == .appendUncertain {
      for step in steps { evidence.unsure(step, error) }
    } catch {
      for step in steps { evidence.refused(step, error) }
    }
  }

  private static func compact(_ log: AppendLog) async throws {
    var steps: [Int] = []
    var end: AppendLog.Position?
    for try await record in log.records() {
      steps += try decoded(record.payload).steps
      end = record.next
    }
    guard let end else { return }
    _ = try await log.compact(upTo: end, replacingWith: [encoded(Entry(steps: steps))])
  }

  private static func encoded(_ entry: Entry) throws -> [UInt8] {
    Array(try JSONEncoder().encode(entry))
  }

  private static func decoded(_ payload: ArraySlice<UInt8>) throws -> Entry {
    try JSONDecoder().decode(Entry.self, from: Data(payload))
  }

  func check(_ place: Place, _ history: History, after fault: Fault) async throws -> [String] {
    let log = try await Self.open(in: place)
    var found: [Int] = []
    for try await record in log.records() { found += try Self.decoded(record.payload).steps }
    var wrong = Records.judge(found, history, after: fault)
    if found != found.sorted() { wrong.append("out of order: \(found)") }
    wrong += log.health.badRecords.map { "bad record: \($0)" }
    if Files.read(place.file("log"))?.last != UInt8(ascii: "\n") { wrong.append("a torn end") }
    if fault == .failedCall { wrong += log.health.tornTails.map { "torn tail: \($0)" } }
    return wrong
  }

  func expects(_ name: String) -> Bool {
    name == "log" || name == "log.lock" || name.hasPrefix("log.torn-")
  }
}

/// What holds for records that are appended.
enum Records {
  /// - Parameter found: The steps whose records are there.
  /// - Returns: Those that are lost, there twice, or there although they were refused.
  static func judge(_ found: [Int], _ history: History, after fault: Fault) -> [String] {
    var counts: [Int: Int] = [:]
    for step in found { counts[step, default: 0] += 1 }
    var promised = history.steps(.done)
    if fault != .powerCut { promised.formUnion(history.steps(.published)) }
    var wrong: [String] = []
    wrong += promised.filter { counts[$0] == nil }.sorted().map { "record \($0) is lost" }
    wrong += counts.filter { $0.value > 1 }.keys.sorted().map { "record \($0) is there twice" }
    let begun = history.steps(.begin)
    let refused = history.steps(.refused)
    for step in counts.keys.sorted() where !begun.contains(step) || refused.contains(step) {
      wrong.append("record \(step) should not be there")
    }
    return wrong
  }
}
