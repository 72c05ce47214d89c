import DurableJobs

/// A store around one in memory: whoever conforms writes only the calls that are to do something else.
protocol WrappingStore: JobStore {
  var inner: MemoryJobStore { get }
}

extension WrappingStore {
  func insert(_ jobs: [JobSubmission]) async throws -> [JobInsertion] {
    try await inner.insert(jobs)
  }
  func claim(_ request: JobClaimRequest) async throws -> JobClaim {
    try await inner.claim(request)
  }
  func renew(_ leases: [JobLease], for duration: Duration) async throws -> [JobLease] {
    try await inner.renew(leases, for: duration)
  }
  func settle(_ settlements: [JobSettlement]) async throws -> [Bool] {
    try await inner.settle(settlements)
  }
  func cancel(_ id: JobID, reason: String) async throws -> JobState? {
    try await inner.cancel(id, reason: reason)
  }
  func redrive(_ id: JobID) async throws -> Bool { try await inner.redrive(id) }
  func recover() async throws -> [JobID] { try await inner.recover() }
  func trim() async throws -> [JobID] { try await inner.trim() }
  func job(_ id: JobID) async throws -> JobRecord? { try await inner.job(id) }
  func jobs(_ query: JobQuery) async throws -> [JobRecord] { try await inner.jobs(query) }
  func figures() async throws -> JobFigures { try await inner.figures() }
}
