import DurableJobs
import ReliabilityIO

/// A worker process with a store of jobs that is killed again and again, and in the end let be.
///
/// Afterwards every job that was acknowledged has ended exactly once in the record, every completed one was run, one whose end was
/// acknowledged was never run again, and a job ran twice only where its first process was killed.
struct JobLab {
  private let folder: String
  private let jobs: Int
  private let kills: Int
  private var random: SeededGenerator
  private var verdict = Verdict("kill/jobs")

  private init(_ arguments: Arguments) {
    folder = Files.fresh(arguments["directory"] + "/jobs")
    jobs = arguments.int("jobs", default: 1000)
    kills = arguments.int("kills", default: 25)
    random = SeededGenerator(seed: arguments.seed)
  }

  static func run(_ arguments: Arguments) async -> Int32 {
    var lab = JobLab(arguments)
    return await lab.run()
  }

  static func open(_ folder: String, _ access: FileJobStore.Access) async throws -> FileJobStore {
    var options = FileJobStore.Options()
    options.access = access
    options.ownerTimeout = .seconds(20)
    options.limits.capacity = 1_000_000
    // The whole record is wanted in the end.
    options.limits.endedKept = 1_000_000
    // So that many a kill hits a compaction.
    options.compactionSlack = 1 << 16
    return try await FileJobStore(folder + "/store", options: options)
  }

  private struct Line {
    var serial: Int
    var word: JobWorker.Word
    var id: JobID
  }

  private var lines: [Line] {
    (Files.text(folder + "/evidence") ?? "").split(separator: "\n").compactMap { line in
      let words = line.split(separator: " ")
      guard words.count == 3, let serial = Int(words[0]),
        let word = JobWorker.Word(rawValue: String(words[1])), let id = UInt64(words[2])
      else { return nil }
      return Line(serial: serial, word: word, id: JobID(rawValue: id))
    }
  }

  private mutating func run() async -> Int32 {
    var serial = 0
    var killed: Set<Int> = []
    while killed.count < kills {
      serial += 1
      let worker = start(serial)
      System.sleep(microseconds: Int.random(in: 20_000...160_000, using: &random))
      if worker.hasEnded {
        let end = worker.wait()
        verdict.require(end == .exited(0), "process \(serial) ended with \(end)")
        break
      }
      worker.kill()
      killed.insert(serial)
    }
    serial += 1
    let end = start(serial).wait()
    verdict.require(end == .exited(0), "the last process ended with \(end)")
    verdict.figure("kills", killed.count)
    do {
      try await judge(killed)
    } catch {
      verdict.require(false, "can't be opened: \(error)")
    }
    return verdict.print()
  }

  private func start(_ serial: Int) -> Child {
    let acknowledged = lines.filter { $0.word == .in }.count
    return Child(lab: [
      "run-jobs", "--directory", folder, "--evidence", folder + "/evidence", "--serial",
      "\(serial)", "--left", "\(max(0, jobs - acknowledged))",
    ])
  }

  private mutating func judge(_ killed: Set<Int>) async throws {
    let store = try await Self.open(folder, .readOnly)
    var query = JobQuery()
    query.limit = .max
    let records = try await store.jobs(query)
    let states = Dictionary(uniqueKeysWithValues: records.map { ($0.id, $0.state) })
    var runs: [JobID: [Int]] = [:]
    var ended: [JobID: Int] = [:]
    var acknowledged = 0
    var duplicates = 0
    for line in lines {
      switch line.word {
      case .in:
        acknowledged += 1
        verdict.require(
          states[line.id]?.isEnd == true, "job \(line.id) was acknowledged and has not ended")
      case .run:
        if let before = runs[line.id]?.last {
          duplicates += 1
          verdict.require(
            before != line.serial && killed.contains(before),
            "job \(line.id) ran again, though its process was not killed")
        }
        if let end = ended[line.id] {
          verdict.require(
            end == line.serial && runs[line.id] == nil, "job \(line.id) ran after its end")
        }
        runs[line.id, default: []].append(line.serial)
      case .done:
        verdict.require(ended[line.id] == nil, "job \(line.id) ended twice")
        verdict.require(states[line.id] == .completed, "job \(line.id) was completed and is not")
        ended[line.id] = line.serial
      case .cancelled:
        verdict.require(ended[line.id] == nil, "job \(line.id) ended twice")
        verdict.require(states[line.id] == .cancelled, "job \(line.id) was cancelled and is not")
        ended[line.id] = line.serial
      }
    }
    for record in records where record.state == .completed {
      verdict.require(runs[record.id] != nil, "job \(record.id) is completed and was never run")
    }
    verdict.require(acknowledged >= jobs, "only \(acknowledged) jobs were put in")
    verdict.require(records.allSatisfy(\.state.isEnd), "a job has not ended")
    verdict.require(store.health.log.badRecords.isEmpty, "bad records in the file")
    verdict.figure("jobs", records.count)
    verdict.figure("cancelled", records.filter { $0.state == .cancelled }.count)
    verdict.figure("run again after a kill", duplicates)
  }
}
