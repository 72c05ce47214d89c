import Reliability
import ReliabilityTesting

/// Twenty tasks fill a small disk: each is told that there is no room, what was acknowledged stays, no temporary file does,
/// and when there is room again the work goes on.
enum FullDisk {
  struct Note: Codable, Sendable { var texts: [String] = [] }
  struct Work: DurableJob {
    static let kind = "work"
    var text: String
  }

  static func run(_ arguments: Arguments, _ findings: Findings) async throws {
    var configuration = SimulatedDisk.Configuration()
    configuration.capacity = 512 << 10
    let disk = SimulatedDisk(seed: arguments.seed, configuration: configuration)
    try disk.makeDirectory("out")
    try disk.write("out/ballast", [UInt8](repeating: 1, count: 256 << 10))
    let acknowledged = try await fill(disk, findings)
    try await check(disk, acknowledged, findings)
    // Somebody makes room.
    try disk.write("out/ballast", [])
    let more = try await work(disk, writes: 3)
    findings.expect(more.refusals == 0, "\(more.refusals) refusals although there is room")
    try await check(disk, acknowledged + more, findings)
    findings.note(
      "full after \(acknowledged.jobs) jobs, \(acknowledged.letters) letters, "
        + "\(acknowledged.notes) notes; \(acknowledged.refusals) refusals")
  }

  /// What was acknowledged, and how often something was refused.
  private struct Done: Sendable {
    var jobs = 0
    var letters = 0
    var notes = 0
    var refusals = 0
    var others: [String] = []

    static func + (a: Done, b: Done) -> Done {
      Done(
        jobs: a.jobs + b.jobs, letters: a.letters + b.letters, notes: a.notes + b.notes,
        refusals: a.refusals + b.refusals, others: a.others + b.others)
    }

    mutating func attempt(
      _ count: WritableKeyPath<Done, Int>, _ body: () async throws -> Void
    ) async {
      do {
        try await body()
        self[keyPath: count] += 1
      } catch let error as StoreError where [.outOfSpace, .appendUncertain].contains(error.code) {
        refusals += 1
      } catch  where "\(error)".contains("space") {
        refusals += 1
      } catch {
        others.append("\(error)")
      }
    }
  }

  private static func fill(_ disk: SimulatedDisk, _ findings: Findings) async throws -> Done {
    var done = Done()
    for _ in 0..<40 where done.refusals < 60 { done = done + (try await work(disk, writes: 10)) }
    findings.expect(done.refusals >= 60, "the disk did not fill up")
    findings.expect(done.others.isEmpty, "other errors: \(done.others.prefix(3))")
    return done
  }

  /// Twenty tasks on one disk.
  private static func work(_ disk: SimulatedDisk, writes: Int) async throws -> Done {
    let files = disk.fileSystem
    let store: FileJobStore
    let letters: DeadLetterQueue<Work>
    do {
      store = try await FileJobStore("out/jobs", fileSystem: files)
      letters = try await DeadLetterQueue("out/letters", fileSystem: files)
    } catch {
      return Done(refusals: 20)
    }
    var options = JobOptions()
    options.start = .after(.seconds(1_000_000))
    let queue = JobQueue(store) { $0.handle(Work.self) { _, _ in } }
    let text = String(repeating: "x", count: 500)
    let done = await withTaskGroup(of: Done.self) { group in
      for _ in 0..<20 {
        group.addTask { [options] in
          var done = Done()
          for _ in 0..<writes {
            await done.attempt(\.jobs) {
              try await queue.enqueue(Work(text: text), options: options)
            }
            await done.attempt(\.letters) {
              try await letters.add(Work(text: text), kind: "work", error: ValidationError("no"))
            }
          }
          await done.attempt(\.notes) {
            try await AtomicDocument<Note>("out/notes", fileSystem: files)
              .update(default: Note()) { $0.texts.append(text) }
          }
          return done
        }
      }
      return await group.reduce(into: Done()) { $0 = $0 + $1 }
    }
    try? await store.close()
    try? await letters.close()
    return done
  }

  /// Opens everything anew, with room for what opening writes.
  private static func check(
    _ disk: SimulatedDisk, _ done: Done, _ findings: Findings
  ) async throws {
    let temporaries = disk.names(in: "out").filter { $0.hasSuffix(".rtmp") }
    findings.expect(temporaries.isEmpty, "temporary files: \(temporaries)")
    let files = disk.fileSystem
    var reading = FileJobStore.Options()
    reading.access = .readOnly
    let store = try await FileJobStore("out/jobs", options: reading, fileSystem: files)
    let jobs = try await store.figures().live
    let letters = try await DeadLetterQueue<Work>(
      "out/letters", access: .readOnly, fileSystem: files)
    let notes = try await AtomicDocument<Note>("out/notes", fileSystem: files).load().value
    // What was refused may be there all the same where the error says that it can't be known, but never less.
    findings.expect(jobs >= done.jobs, "\(jobs) jobs of \(done.jobs)")
    findings.expect(letters.count >= done.letters, "\(letters.count) letters of \(done.letters)")
    findings.expect((notes?.texts.count ?? 0) >= done.notes, "notes lost of \(done.notes)")
  }
}
