import ReliabilityCore
import ReliabilityTestSupport
import Testing

@testable import DurableJobs

/// What the table should do, in the most obvious way: a list that is searched from end to end.
struct ReferenceTable {
  struct Job {
    var id: UInt64
    var kind: String
    var priority: Int
    var state: JobState
    var key: String?
    var due: Int64 = 0
    var readyAt: Int64 = 0
    var readySince: Int64 = 0
    /// Its rank in its line; zero when it gets the last one.
    var rank = 0
    var order = 0
    var token: UInt64 = 0
    var leaseEnd: Int64 = 0
    var attempts = 0
    var crashes = 0
  }

  var jobs: [Job] = []
  var nextID: UInt64 = 1
  var nextToken: UInt64 = 1
  var order = 0
  var lastWasAged = false
  let capacity: Int
  let step: Int64

  var live: Int { jobs.filter { !$0.state.isEnd }.count }

  /// - Parameter since: When its time had come, of one that waited.
  mutating func ready(_ index: Int, _ now: Int64, since: Int64? = nil) {
    jobs[index].state = .pending
    order += 1
    jobs[index].order = order
    if jobs[index].rank > 0 { return }
    jobs[index].readyAt = now
    jobs[index].readySince = since ?? now
    jobs[index].rank = order
  }

  mutating func insert(_ kind: String, _ priority: Int, delay: Int64, key: String?, now: Int64)
    -> UInt64?
  {
    if let key,
      let other = jobs.first(where: { $0.key == key && $0.kind == kind && !$0.state.isEnd })
    {
      return other.id
    }
    if live >= capacity { return nil }
    jobs.append(Job(id: nextID, kind: kind, priority: priority, state: .scheduled, key: key))
    nextID += 1
    order += 1
    jobs[jobs.count - 1].order = order
    if delay > 0 { jobs[jobs.count - 1].due = now + delay } else { ready(jobs.count - 1, now) }
    return nextID - 1
  }

  mutating func claim(_ kinds: [String], lease: Int64, now: Int64) -> (UInt64, UInt64)? {
    let due = jobs.indices.filter {
      (jobs[$0].state == .scheduled || jobs[$0].state == .retrying) && jobs[$0].due <= now
    }.sorted { (jobs[$0].due, jobs[$0].order) < (jobs[$1].due, jobs[$1].order) }
    for index in due { ready(index, now, since: jobs[index].due) }
    let eligible = jobs.indices.filter {
      jobs[$0].state == .pending && kinds.contains(jobs[$0].kind)
    }
    guard
      let best = eligible.min(by: {
        (-jobs[$0].priority, jobs[$0].rank) < (-jobs[$1].priority, jobs[$1].rank)
      })
    else { return nil }
    let (current, span) = (jobs, step)
    let agedAt = { (index: Int) in
      current[index].readyAt + Int64(4 - current[index].priority) * span
    }
    // Jobs whose time came at once have aged at once; then the kind that is asked for first, and so on.
    let rank = { (index: Int) -> (Int64, Int, Int, Int) in
      let job = current[index]
      return (agedAt(index), kinds.firstIndex(of: job.kind)!, -job.priority, job.rank)
    }
    let aged = eligible.filter { current[$0].priority < 4 && agedAt($0) <= now }
      .min { rank($0) < rank($1) }
    var choice = best
    if let aged, !lastWasAged {
      choice = aged
      lastWasAged = true
    } else {
      lastWasAged = false
    }
    jobs[choice].state = .running
    jobs[choice].token = nextToken
    jobs[choice].crashes += 1
    jobs[choice].leaseEnd = now + lease
    nextToken += 1
    return (jobs[choice].id, nextToken - 1)
  }

  /// A new process opens the store: nobody runs any more, and jobs stand in the order in which they became ready.
  mutating func restart(now: Int64) {
    for index in jobs.indices {
      if jobs[index].state == .running { ready(index, now) }
      if jobs[index].state == .scheduled || jobs[index].state == .retrying, jobs[index].due <= now {
        ready(index, now, since: jobs[index].due)
      }
    }
    let pending = jobs.indices.filter { jobs[$0].state == .pending }
      .sorted { (jobs[$0].readySince, jobs[$0].rank) < (jobs[$1].readySince, jobs[$1].rank) }
    for index in pending {
      order += 1
      jobs[index].rank = order
      jobs[index].readyAt = jobs[index].readySince
    }
    lastWasAged = false
  }

  func index(_ id: UInt64) -> Int? { jobs.firstIndex { $0.id == id } }
}

@Suite(.offThePool) struct ModelTests {
  /// Enqueue, claim, complete, fail, cancel, time out, expire, crash, restart and redrive at random, against the reference.
  @Test(arguments: [UInt64(1), 2, 3, 4])
  func tableDoesWhatTheReferenceDoes(seed: UInt64) throws {
    var random = SeededGenerator(seed: seed)
    let step: Int64 = 1000
    var rules = JobTable.Rules()
    rules.capacity = 24
    rules.agingStep = step
    rules.endedKept = 20
    rules.endedAge = .max
    var table = JobTable(rules)
    var model = ReferenceTable(capacity: 24, step: step)
    var now: Int64 = 0
    var time: JobTable.Time { JobTable.Time(monotonic: now, wall: now) }
    var leases: [(id: UInt64, token: UInt64)] = []
    var enqueued = 0
    var redriven = 0
    var ends: [JobState: Int] = [:]
    let kinds = ["a", "b", "c"]
    var failure: Comment?
    for operation in 0..<50_000 {
      // Times are all different, so that there is one right order.
      now += Int64.random(in: 1...40, using: &random)
      switch Int.random(in: 0..<100, using: &random) {
      case 0..<34:
        let kind = kinds.randomElement(using: &random)!
        let priority = JobPriority.allCases.randomElement(using: &random)!
        let delay = Bool.random(using: &random) ? 0 : Int64.random(in: 1...300, using: &random)
        let key =
          Int.random(in: 0..<3, using: &random) == 0
          ? "key\(Int.random(in: 0..<6, using: &random))" : nil
        let before = model.nextID
        let expected = model.insert(kind, priority.rawValue, delay: delay, key: key, now: now)
        var options = JobOptions(priority: priority)
        if delay > 0 { options.start = .after(.nanoseconds(delay)) }
        options.unique = key.map { UniqueKey($0) }
        let job = JobSubmission(kind: kind, payload: [7], options: options)
        let got = try? table.insert([job], now: time)
        if got?[0].id.rawValue != expected
          || got.map({ $0[0].isDuplicate }) ?? false != (expected.map { $0 < before } ?? false)
        {
          failure = "insert"
        }
        if let expected, expected >= before { enqueued += 1 }
      case 34..<64:
        let wanted = kinds.filter { _ in Int.random(in: 0..<4, using: &random) > 0 }
        let lease = Int64.random(in: 1...400, using: &random)
        let expected = model.claim(wanted, lease: lease, now: now)
        let got = table.claim(
          JobClaimRequest(
            limit: 1, kinds: wanted.map { JobKindAllowance(kind: $0) }, lease: .nanoseconds(lease)),
          now: time)
        if got.first?.record.id.rawValue != expected?.0 || got.first?.token != expected?.1 {
          failure = "claim gave \(got.first?.record.id.rawValue ?? 0), not \(expected?.0 ?? 0)"
        } else if let expected {
          leases.append(expected)
          let index = model.index(expected.0)!
          if got.first?.record.crashes != model.jobs[index].crashes { failure = "crashes" }
          if got.first?.record.attempts != model.jobs[index].attempts { failure = "attempts" }
        }
      case 64..<86 where !leases.isEmpty:
        // Also with a lease that somebody else has by now.
        let place = leases.indices.randomElement(using: &random)!
        let (id, token) = leases[place]
        if Int.random(in: 0..<4, using: &random) > 0 { leases.remove(at: place) }
        let lease = JobLease(id: JobID(rawValue: id), token: token)
        let index = model.index(id)
        let valid =
          index.map { model.jobs[$0].state == .running && model.jobs[$0].token == token } ?? false
        let outcome: JobSettlement.Outcome
        let delay = Int64.random(in: 0...200, using: &random)
        let kind = Int.random(in: 0..<7, using: &random)
        switch kind {
        case 0, 1: outcome = .completed(note: nil)
        case 2: outcome = .retry(after: .nanoseconds(delay), .some)
        case 3: outcome = .failed(.some, isDead: false)
        case 4: outcome = .failed(.some, isDead: true)
        case 5: outcome = .cancelled(reason: "")
        default: outcome = .released(after: .nanoseconds(delay))
        }
        if table.settle(JobSettlement(lease, outcome), now: time) != valid { failure = "settle" }
        if valid, let index {
          model.jobs[index].crashes = 0
          switch kind {
          case 0, 1: model.jobs[index].state = .completed
          case 2:
            model.jobs[index].attempts += 1
            model.jobs[index].rank = 0
            model.jobs[index].state = .retrying
          case 3:
            model.jobs[index].attempts += 1
            model.jobs[index].state = .failed
          case 4:
            model.jobs[index].attempts += 1
            model.jobs[index].state = .dead
          case 5: model.jobs[index].state = .cancelled
          default: model.jobs[index].state = .scheduled
          }
          let state = model.jobs[index].state
          if state.isEnd {
            ends[state, default: 0] += 1
          } else if kind == 6, delay == 0 {
            model.ready(index, now)
          } else {
            model.order += 1
            model.jobs[index].order = model.order
            model.jobs[index].rank = 0
            model.jobs[index].due = now + delay
          }
        }
      case 86..<91:
        let id = UInt64.random(in: 1...max(1, model.nextID), using: &random)
        let lower = max(1, Int64(model.nextID) - 30)
        let chosen =
          Bool.random(using: &random)
          ? id : UInt64.random(in: UInt64(lower)...model.nextID, using: &random)
        let got = table.cancel(JobID(rawValue: chosen), reason: "", now: time)
        if let index = model.index(chosen), !model.jobs[index].state.isEnd {
          if got != model.jobs[index].state { failure = "cancel" }
          model.jobs[index].state = .cancelled
          ends[.cancelled, default: 0] += 1
        }
      case 91..<95:
        // Leases run out: also what a crash and a restart come to.
        if Int.random(in: 0..<10, using: &random) == 0 { now += 500 }
        let got = Set(table.recover(now: time).map(\.rawValue))
        let expected = model.jobs.indices.filter {
          model.jobs[$0].state == .running && model.jobs[$0].leaseEnd <= now
        }.sorted {
          (model.jobs[$0].leaseEnd, model.jobs[$0].token) < (
            model.jobs[$1].leaseEnd, model.jobs[$1].token
          )
        }
        if got != Set(expected.map { model.jobs[$0].id }) { failure = "recover" }
        for index in expected { model.ready(index, now) }
      case 95..<98 where !leases.isEmpty:
        let (id, token) = leases.randomElement(using: &random)!
        let lost = table.renew(
          [JobLease(id: JobID(rawValue: id), token: token)], for: .nanoseconds(300), now: time)
        let index = model.index(id)
        let valid =
          index.map { model.jobs[$0].state == .running && model.jobs[$0].token == token } ?? false
        if lost.isEmpty != valid { failure = "renew" }
        if valid, let index {
          model.jobs[index].leaseEnd = max(model.jobs[index].leaseEnd, now + 300)
        }
      default:
        let candidates = model.jobs.filter { $0.state == .failed || $0.state == .dead }.suffix(8)
        guard let job = candidates.randomElement(using: &random) else { break }
        let isThere = table[JobID(rawValue: job.id)] != nil
        let isFree = !model.jobs.contains {
          job.key != nil && $0.key == job.key && $0.kind == job.kind && !$0.state.isEnd
        }
        let expected = isThere && isFree && model.live < model.capacity
        if table.redrive(JobID(rawValue: job.id), now: time) != expected { failure = "redrive" }
        if expected {
          redriven += 1
          ends[job.state, default: 0] -= 1
          let index = model.index(job.id)!
          model.jobs[index].attempts = 0
          model.jobs[index].crashes = 0
          model.jobs[index].rank = 0
          model.ready(index, now)
        }
      }
      if table.live != model.live { failure = failure ?? "live" }
      let ended = ends.values.reduce(0, +)
      if enqueued != ended + table.live { failure = failure ?? "conservation" }
      if let failure {
        Issue.record("seed \(seed), operation \(operation): \(failure)")
        return
      }
      if leases.count > 64 { leases.removeFirst(32) }
      if operation % 32 == 0 {
        for state in JobState.allCases where !state.isEnd {
          #expect(table.count(state) == model.jobs.filter { $0.state == state }.count)
        }
        // The table forgets ended jobs; the reference may forget those that nobody can ask for any more.
        model.jobs.removeAll { job in
          job.state.isEnd && table[JobID(rawValue: job.id)] == nil
        }
      }
    }
    #expect(redriven > 0 && ends[.dead, default: 0] > 0)
  }

  /// A million where it takes a second.
  #if DEBUG
    private static let manyJobs = 100_000
  #else
    private static let manyJobs = 1_000_000
  #endif

  @Test func memoryStaysFlatOverManyJobs() throws {
    var rules = JobTable.Rules()
    rules.endedKept = 1000
    var table = JobTable(rules)
    var time = JobTable.Time(monotonic: 0, wall: 0)
    let job = JobSubmission.plain("k", unique: nil)
    var largest = 0
    for round in 0..<Self.manyJobs {
      time.monotonic += 1000
      _ = try table.insert([job], now: time)
      let claimed = table.claimOne(at: time)!
      _ = table.settle(
        claimed, round % 3 == 0 ? .failed(.some, isDead: true) : .completed(note: nil), at: time)
      largest = max(largest, table.entries.count)
    }
    #expect(largest <= 1001)
    #expect(table.footprint <= 8192)
  }
}
