import ReliabilityCore
import ReliabilityTesting

@testable import DurableJobs

extension JobTable.Time {
  static func at(_ seconds: Double, wall: Double? = nil) -> Self {
    Self(monotonic: Int64(seconds * 1e9), wall: Int64((wall ?? seconds) * 1e9))
  }
}

extension JobSubmission {
  static func plain(
    _ kind: String = "k", _ priority: JobPriority = .normal, start: JobOptions.Start = .now,
    unique: UniqueKey? = nil
  ) -> Self {
    var options = JobOptions(priority: priority)
    options.start = start
    options.unique = unique
    return JobSubmission(kind: kind, payload: [1], options: options)
  }
}

extension JobTable {
  mutating func claimOne(_ kinds: String..., at time: Time) -> Claimed? {
    claimOne(of: kinds.isEmpty ? ["k"] : kinds, at: time)
  }

  mutating func claimOne(of kinds: [String], at time: Time) -> Claimed? {
    claim(
      JobClaimRequest(
        limit: 1, kinds: kinds.map { JobKindAllowance(kind: $0) }, lease: .seconds(60)),
      now: time
    ).first
  }

  mutating func settle(_ claimed: Claimed, _ outcome: JobSettlement.Outcome, at time: Time) -> Bool
  {
    settle(
      JobSettlement(JobLease(id: claimed.record.id, token: claimed.token), outcome), now: time)
  }
}

/// A table behind a reference, so that its changes can stand in expectations.
final class TableBox {
  typealias Time = JobTable.Time
  var table = JobTable()

  var rules: JobTable.Rules {
    get { table.rules }
    set { table.rules = newValue }
  }
  var live: Int { table.live }
  subscript(id: JobID) -> JobRecord? { table[id] }
  func count(_ state: JobState) -> Int { table.count(state) }

  func insert(_ jobs: [JobSubmission], now: Time) throws(QueueFullError) -> [JobInsertion] {
    try table.insert(jobs, now: now)
  }
  func claim(_ request: JobClaimRequest, now: Time) -> [JobTable.Claimed] {
    table.claim(request, now: now)
  }
  func claimOne(_ kinds: String..., at time: Time) -> JobTable.Claimed? {
    table.claimOne(of: kinds.isEmpty ? ["k"] : kinds, at: time)
  }
  func settle(_ claimed: JobTable.Claimed, _ outcome: JobSettlement.Outcome, at time: Time) -> Bool
  {
    table.settle(claimed, outcome, at: time)
  }
  func cancel(_ id: JobID, reason: String, now: Time) -> JobState? {
    table.cancel(id, reason: reason, now: now)
  }
  func redrive(_ id: JobID, now: Time) -> Bool { table.redrive(id, now: now) }
  func recover(now: Time) -> [JobID] { table.recover(now: now) }
  func renew(_ leases: [JobLease], for duration: Duration, now: Time) -> [JobLease] {
    table.renew(leases, for: duration, now: now)
  }
  func trim(now: Time) -> [JobID] { table.trim(now: now) }
  func nextDue(now: Time) -> Int64? { table.nextDue(now: now) }
  func figures(now: Time) -> JobFigures { table.figures(now: now) }
}

extension JobFailure {
  static let some = JobFailure(
    attempt: 1, error: "x", category: .network, endedAt: 0, milliseconds: 1)
}
