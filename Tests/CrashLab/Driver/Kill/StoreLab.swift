import AtomicStore
import FoundationEssentials
import ReliabilityIO

/// Many processes that change one document, append to one log, or commit to one store, with a killer about.
///
/// `--kind` is `document`, `log` or `transaction`; `--times` lets each of the processes do so many changes and kills
/// nobody.
struct StoreLab {
  private let kind: StoreWorker.Kind
  private let files: String
  private let evidence: String
  private var verdict: Verdict

  private init(_ arguments: Arguments) {
    kind = StoreWorker.Kind(arguments["kind"])
    let times = arguments[optional: "times"]
    verdict = Verdict("\(times == nil ? "kill" : "crowd")/\(kind.rawValue)")
    let folder = Files.fresh(arguments["directory"] + "/\(kind.rawValue)")
    files = Files.fresh(folder + "/files")
    evidence = folder + "/evidence"
  }

  static func run(_ arguments: Arguments) async -> Int32 {
    var lab = StoreLab(arguments)
    return await lab.run(arguments)
  }

  private mutating func run(_ arguments: Arguments) async -> Int32 {
    let count = arguments.int("processes", default: 20)
    let started = System.now
    let reader = kind == .document ? child(["--role", "read", "--serial", "0"]) : nil
    if let times = arguments[optional: "times"] {
      let crowd = (1...count).map { child(["--serial", "\($0)", "--times", times]) }
      for worker in crowd {
        let end = worker.wait()
        verdict.require(end == .exited(0), "a process ended with \(end)")
      }
      verdict.figure("processes", count)
    } else {
      let lab = self
      let killer = Killer(count: count, seed: arguments.seed) { serial, _ in
        lab.child(["--serial", "\(serial)"])
      }
      killer.run(for: arguments.duration, every: kind == .transaction ? 20...60 : 3...12)
      verdict.add(killer.endedByThemselves)
      verdict.figure("kills", killer.kills)
    }
    let seconds = Double(System.now - started) / 1e9
    reader?.kill()
    let history = History(evidence)
    verdict.add(history.entries.filter { $0.event == .violation }.map(\.text))
    verdict.add(history.refusals.map { "a change failed: \($0)" })
    let done = history.steps(.done)
    verdict.require(!done.isEmpty, "nothing was done")
    verdict.figure("changes", done.count)
    verdict.figure("per second", Int(Double(done.count) / seconds))
    let place = Place(directory: files, fileSystem: .real)
    do {
      switch kind {
      case .document: try await judgeDocument(place, history)
      case .log: try await judgeLog(place, history)
      case .transaction: try await judgeTransactions(place, history)
      }
    } catch {
      verdict.require(false, "can't be opened: \(error)")
    }
    verdict.add(await Orphans.remaining(in: place, after: .killed).map { "left behind: \($0)" })
    return verdict.print()
  }

  private func child(_ words: [String]) -> Child {
    Child(
      lab: ["change", "--kind", kind.rawValue, "--directory", files, "--evidence", evidence]
        + words)
  }

  /// Each process has counted as often as it says, or once more.
  private mutating func judgeDocument(_ place: Place, _ history: History) async throws {
    let loaded = try await AtomicDocument<Tally>(place.file("document")).load()
    let done = Dictionary(grouping: history.steps(.done)) { $0 / StoreWorker.stepsOfProcess }
    let begun = Dictionary(grouping: history.steps(.begin)) { $0 / StoreWorker.stepsOfProcess }
    let counts = loaded.value?.counts ?? [:]
    for (serial, steps) in begun {
      let (promised, count) = (done[serial]?.count ?? 0, counts["\(serial)"] ?? 0)
      verdict.require(
        count >= promised && count <= steps.count,
        "process \(serial) changed it \(promised) times of \(steps.count), and \(count) are there")
    }
    verdict.require(loaded.source == .target, "loaded from \(loaded.source)")
    verdict.require(loaded.quarantined.isEmpty, "moved aside: \(loaded.quarantined)")
    verdict.figure("whole reads", history.entries.filter { $0.event == .published }.count * 16)
  }

  private mutating func judgeLog(_ place: Place, _ history: History) async throws {
    let log = try await AppendLog(place.file("log"))
    var found: [Int] = []
    for try await record in log.records() {
      found.append(try JSONDecoder().decode(Tally.self, from: Data(record.payload)).step)
    }
    verdict.add(Records.judge(found, history, after: .killed))
    verdict.require(Files.read(log.path)?.last == UInt8(ascii: "\n"), "a torn end")
    verdict.figure("records", found.count)
    verdict.figure("bad records passed", log.health.badRecords.count)
    let tails = Files.names(in: place.directory).filter { $0.hasPrefix("log.torn-") }
    verdict.figure("torn tails kept aside", tails.count)
  }

  private mutating func judgeTransactions(_ place: Place, _ history: History) async throws {
    let store = try await TransactionStore(place.directory)
    if let problem = await store.problem { verdict.require(false, "not applied: \(problem)") }
    let files = ["a.txt", "b.txt"].map { (Files.text(place.file($0)) ?? "").split(separator: "\n") }
    let found = files[0].map { Int($0) ?? -1 }
    verdict.add(Records.judge(found, history, after: .killed))
    verdict.require(files[0] == files[1], "the files disagree")
    verdict.require(
      Files.text(place.file("last.txt")) == files[0].last.map(String.init),
      "the replaced file is not the last line's")
    verdict.figure("committed", found.count)
    try await store.close()
  }
}
