import AtomicStore
import ReliabilityCore
import ReliabilityTestSupport
import ReliabilityTesting
import Testing

@testable import DurableJobs

/// Random operations on a store in a file, with restarts, kills, power cuts, full disks and compactions, against the reference.
@Suite(.offThePool) struct FileStoreModelTests {
  private static var operations: Int { isLongRun ? 60_000 : 2500 }

  /// What differs between the seeds.
  private struct Run {
    var random: SeededGenerator
    var machine = Machine()
    var store: FileJobStore
    var model = ReferenceTable(capacity: 24, step: 1000)
    var leases: [(id: UInt64, token: UInt64)] = []
    var enqueued = 0
    var ends: [JobState: Int] = [:]
    var failure: Comment?
    var restarts = 0
    var refusals = 0
    /// The latest operations, for people.
    var trace: [String] = []
    let seed: UInt64

    init(seed: UInt64) async throws {
      self.seed = seed
      random = SeededGenerator(seed: seed)
      store = try await machine.open { Self.choose(&$0, seed) }
    }

    static func choose(_ options: inout FileJobStore.Options, _ seed: UInt64) {
      options.limits.capacity = 24
      options.limits.agingStep = .nanoseconds(1000)
      options.limits.endedKept = 20
      options.limits.endedAge = .seconds(1_000_000)
      options.compactionSlack = seed % 2 == 0 ? 0 : 4096
      options.claimRecord = .synced
    }

    var now: Int64 { NanosecondClock(machine.clock).now }

    mutating func step() async throws {
      // Times are all different, so that there is one right order: those of calls are even, others odd.
      machine.clock.advance(by: .nanoseconds(2 * Int.random(in: 1...20, using: &random)))
      let dice = Int.random(in: 0..<100, using: &random)
      trace.append("\(now): \(dice)")
      if trace.count > 12 { trace.removeFirst() }
      switch dice {
      case 0..<32: try await insert()
      case 32..<60: try await claim()
      case 60..<82 where !leases.isEmpty: try await settle()
      case 82..<87: try await cancel()
      case 87..<90: try await recover()
      case 90..<93 where !leases.isEmpty: try await renew()
      case 93..<95: try await refuse()
      case 95: try await store.compact()
      case 96: try await restart()
      default: try await redrive()
      }
      let live = try await store.figures().live
      if live != model.live { failure = failure ?? "live is \(live), not \(model.live)" }
      if enqueued != ends.values.reduce(0, +) + live { failure = failure ?? "conservation" }
      if leases.count > 64 { leases.removeFirst(32) }
    }

    mutating func insert() async throws {
      let kind = ["a", "b", "c"].randomElement(using: &random)!
      let priority = JobPriority.allCases.randomElement(using: &random)!
      let delay =
        Bool.random(using: &random) ? 0 : 2 * Int64.random(in: 1...150, using: &random) + 1
      let key =
        Int.random(in: 0..<3, using: &random) == 0
        ? "key\(Int.random(in: 0..<6, using: &random))" : nil
      let before = model.nextID
      let expected = model.insert(kind, priority.rawValue, delay: delay, key: key, now: now)
      var options = JobOptions(priority: priority)
      if delay > 0 { options.start = .after(.nanoseconds(delay)) }
      options.unique = key.map { UniqueKey($0) }
      let job = JobSubmission(kind: kind, payload: Array("{\"n\":1}".utf8), options: options)
      let got = try? await store.insert([job])
      if got?[0].id.rawValue != expected
        || got.map({ $0[0].isDuplicate }) ?? false != (expected.map { $0 < before } ?? false)
      {
        failure = "insert gave \(got?[0].id.rawValue ?? 0), not \(expected ?? 0)"
      }
      if let expected, expected >= before { enqueued += 1 }
      if model.jobs.filter({ $0.id == expected }).count > 1 {
        failure = "id \(expected ?? 0) was given twice"
      }
    }

    mutating func claim() async throws {
      var wanted: [String] = []
      for kind in ["a", "b", "c"] where Int.random(in: 0..<4, using: &random) > 0 {
        wanted.append(kind)
      }
      let lease = 2 * Int64.random(in: 1...200, using: &random) + 1
      let token = model.nextToken
      let expected = model.claim(wanted, lease: lease, now: now)
      let got = try await store.claim(.some(1, wanted, lease: .nanoseconds(lease)))
      guard let item = got.items.first, let expected else {
        if got.items.first?.job.id.rawValue != expected?.0 { failure = "claim of nothing" }
        return
      }
      if item.job.id.rawValue != expected.0 || item.lease.token < token {
        failure = "claim gave \(item.lease), not \(expected)"
        return
      }
      let index = model.index(expected.0)!
      model.nextToken = item.lease.token + 1
      model.jobs[index].token = item.lease.token
      leases.append((expected.0, item.lease.token))
      if item.job.crashes != model.jobs[index].crashes {
        failure = "\(item.job.id) has \(item.job.crashes) crashes, not \(model.jobs[index].crashes)"
      }
      if item.job.attempts != model.jobs[index].attempts {
        failure =
          "\(item.job.attempts) attempts of \(expected.0), not \(model.jobs[index].attempts)"
      }
      if item.job.payload != Array("{\"n\":1}".utf8) { failure = "payload" }
    }

    mutating func settle() async throws {
      let place = leases.indices.randomElement(using: &random)!
      let (id, token) = leases[place]
      if Int.random(in: 0..<4, using: &random) > 0 { leases.remove(at: place) }
      let index = model.index(id)
      let valid =
        index.map { model.jobs[$0].state == .running && model.jobs[$0].token == token } ?? false
      let delay = 2 * Int64.random(in: 0...100, using: &random) + 1
      let kind = Int.random(in: 0..<8, using: &random)
      let outcome: JobSettlement.Outcome =
        switch kind {
        case 0, 1: .completed(note: nil)
        case 2: .retry(after: .nanoseconds(delay), .some)
        case 3: .failed(.some, isDead: false)
        case 4: .failed(.some, isDead: true)
        case 5: .cancelled(reason: "")
        case 6: .released(after: .zero)
        default: .released(after: .nanoseconds(delay))
        }
      let lease = JobLease(id: JobID(rawValue: id), token: token)
      if try await store.settle([JobSettlement(lease, outcome)]) != [valid] { failure = "settle" }
      guard valid, let index else { return }
      model.jobs[index].crashes = 0
      switch kind {
      case 0, 1: end(index, .completed)
      case 3:
        model.jobs[index].attempts += 1
        end(index, .failed)
      case 4:
        model.jobs[index].attempts += 1
        end(index, .dead)
      case 5: end(index, .cancelled)
      case 6: model.ready(index, now)
      default:
        if kind == 2 { model.jobs[index].attempts += 1 }
        model.jobs[index].state = kind == 2 ? .retrying : .scheduled
        model.order += 1
        model.jobs[index].order = model.order
        model.jobs[index].rank = 0
        model.jobs[index].due = now + delay
      }
    }

    mutating func end(_ index: Int, _ state: JobState) {
      model.jobs[index].state = state
      ends[state, default: 0] += 1
    }

    mutating func cancel() async throws {
      let lower = max(1, Int64(model.nextID) - 30)
      let chosen = UInt64.random(in: UInt64(lower)...model.nextID, using: &random)
      let got = try await store.cancel(JobID(rawValue: chosen), reason: "")
      if let index = model.index(chosen), !model.jobs[index].state.isEnd {
        if got != model.jobs[index].state { failure = "cancel" }
        end(index, .cancelled)
      }
    }

    mutating func recover() async throws {
      let got = Set(try await store.recover().map(\.rawValue))
      let now = now
      let expected = model.jobs.indices.filter {
        model.jobs[$0].state == .running && model.jobs[$0].leaseEnd <= now
      }
      if got != Set(expected.map { model.jobs[$0].id }) { failure = "recover" }
      for index in expected { model.ready(index, now) }
    }

    mutating func renew() async throws {
      let (id, token) = leases.randomElement(using: &random)!
      let lost = try await store.renew(
        [JobLease(id: JobID(rawValue: id), token: token)], for: .nanoseconds(301))
      let index = model.index(id)
      let valid =
        index.map { model.jobs[$0].state == .running && model.jobs[$0].token == token } ?? false
      if lost.isEmpty != valid { failure = "renew" }
      if valid, let index {
        model.jobs[index].leaseEnd = max(model.jobs[index].leaseEnd, now + 301)
      }
    }

    /// The disk is full: nothing may change, whoever asks for what.
    mutating func refuse() async throws {
      refusals += 1
      machine.disk.fail(.write, with: .noSpace, persistently: true)
      let store = store
      let first = leases.first.map { JobLease(id: JobID(rawValue: $0.id), token: $0.token) }
      await withTaskGroup(of: Void.self) { group in
        group.addTask {
          _ = try? await store.insert([.plain("a"), .plain("b", unique: UniqueKey("key1"))])
        }
        group.addTask { _ = try? await store.claim(.some(3, ["a", "b", "c"])) }
        if let first {
          group.addTask {
            _ = try? await store.settle([JobSettlement(first, .completed(note: nil))])
          }
        }
        for id in 0..<5 {
          let id = JobID(rawValue: model.nextID - min(model.nextID, UInt64(id)))
          group.addTask { _ = try? await store.cancel(id, reason: "") }
        }
      }
      machine.disk.clearFaults()
      // Jobs whose time has come were seen to be ready.
      let now = now
      let due = model.jobs.indices.filter {
        (model.jobs[$0].state == .scheduled || model.jobs[$0].state == .retrying)
          && model.jobs[$0].due <= now
      }.sorted {
        (model.jobs[$0].due, model.jobs[$0].order) < (model.jobs[$1].due, model.jobs[$1].order)
      }
      for index in due { model.ready(index, now, since: model.jobs[index].due) }
      // Numbers that were given are not given again, and whose turn it is may have changed.
      try await restart(.close)
    }

    enum End { case close, kill, cut }

    mutating func restart(_ chosen: End? = nil) async throws {
      restarts += 1
      let seed = seed
      switch chosen ?? [.close, .kill, .cut].randomElement(using: &random)! {
      case .close: try await store.close()
      case .kill: machine = machine.crashed(.processKilled)
      case .cut: machine = machine.crashed(.powerCut)
      }
      store = try await machine.open { Self.choose(&$0, seed) }
      model.restart(now: now)
      for state in JobState.allCases where !state.isEnd {
        let count = try await store.figures().states[state] ?? 0
        let expected = model.jobs.filter { $0.state == state }.count
        if count != expected { failure = "\(count) jobs are \(state), not \(expected)" }
      }
      for job in model.jobs where !job.state.isEnd {
        let record = try await store.job(JobID(rawValue: job.id))
        if record?.attempts != job.attempts || record?.crashes != job.crashes {
          failure =
            "\(job.id) has \(record?.attempts ?? -1) attempts and \(record?.crashes ?? -1) crashes, not \(job.attempts) and \(job.crashes)"
        }
      }
      model.nextID = store.state.withLock { $0.table.nextID }
      let store = store
      model.jobs.removeAll { job in
        job.state.isEnd && store.state.withLock { $0.table[JobID(rawValue: job.id)] } == nil
      }
    }

    mutating func redrive() async throws {
      let candidates = model.jobs.filter { $0.state == .failed || $0.state == .dead }.suffix(8)
      guard let job = candidates.randomElement(using: &random) else { return }
      let isThere = try await store.job(JobID(rawValue: job.id)) != nil
      let isFree = !model.jobs.contains {
        job.key != nil && $0.key == job.key && $0.kind == job.kind && !$0.state.isEnd
      }
      let expected = isThere && isFree && model.live < model.capacity
      if try await store.redrive(JobID(rawValue: job.id)) != expected { failure = "redrive" }
      guard expected else { return }
      ends[job.state, default: 0] -= 1
      let index = model.index(job.id)!
      model.jobs[index].attempts = 0
      model.jobs[index].crashes = 0
      model.jobs[index].rank = 0
      model.ready(index, now)
    }
  }

  @Test(.timeLimit(.minutes(20)), arguments: [UInt64(1), 2, 3, 4])
  func aFileDoesWhatTheReferenceDoes(seed: UInt64) async throws {
    var run = try await Run(seed: seed)
    for operation in 0..<Self.operations {
      try await run.step()
      if let failure = run.failure {
        Issue.record("seed \(seed), operation \(operation): \(failure); \(run.trace)")
        return
      }
    }
    #expect(run.restarts > 10 && run.refusals > 10 && run.ends[.dead, default: 0] > 0)
    #expect(run.store.health.log.badRecords.isEmpty && run.store.health.strayChanges == 0)
  }
}
