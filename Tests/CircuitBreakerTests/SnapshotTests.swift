import Foundation
import ReliabilityCore
import ReliabilityTestSupport
import ReliabilityTesting
import Testing

@testable import CircuitBreaker

@Suite(.offThePool) struct SnapshotTests {
  /// As version 1 wrote it.
  static let fixture = """
    {"boot_id":"b0","bucket_age_ns":0,"buckets":[],"consecutive_failures":2,"format":"circuit-breaker","history":"0130",\
    "name":"search","open_time_ns":60000000000,"openings":1,"remaining_open_time_ns":45000000000,"since_boot_ns":1000,\
    "state":"open","version":1,"wall_ns":1700000000000000000}
    """

  func decode(_ text: String) throws -> CircuitBreaker.Snapshot {
    try JSONDecoder().decode(CircuitBreaker.Snapshot.self, from: Data(text.utf8))
  }

  @Test("A snapshot of version 1 is read, and written the same")
  func fixture() throws {
    let snapshot = try decode(Self.fixture)
    #expect(snapshot.name == "search")
    #expect(snapshot.state == .open)
    #expect(snapshot.takenAt.description == "2023-11-14T22:13:20Z")
    #expect(snapshot.memory.history == [0, 1, 3, 0])
    let encoder = JSONEncoder()
    encoder.outputFormatting = .sortedKeys
    #expect(String(decoding: try encoder.encode(snapshot), as: UTF8.self) == Self.fixture)
  }

  @Test(
    "What no breaker can have written is refused",
    arguments: [
      ("\"version\":1", "\"version\":2"), ("circuit-breaker", "toaster"),
      ("\"state\":\"open\"", "\"state\":\"ajar\""), ("\"openings\":1", "\"openings\":-1"),
      ("\"remaining_open_time_ns\":45", "\"remaining_open_time_ns\":450"),
      ("\"open_time_ns\":60000000000", "\"open_time_ns\":9223372036854775807"),
      ("\"history\":\"0130\"", "\"history\":\"0190\""),
      ("\"buckets\":[]", "\"buckets\":[[1,2,0]]"), ("\"buckets\":[]", "\"buckets\":[[1]]"),
    ])
  func refused(change: (String, String)) {
    #expect(throws: DecodingError.self) {
      try decode(Self.fixture.replacingOccurrences(of: change.0, with: change.1))
    }
  }

  @Test("After a boot the wall clock counts, between nothing and the whole open time")
  func otherBoot() throws {
    let snapshot = try decode(Self.fixture)
    func remaining(wallSeconds: Int64, boot: String) -> Duration? {
      let lab = Lab()
      lab.breaker.restore(
        snapshot,
        at: PersistedMoment(
          wall: 1_700_000_000_000_000_000 + wallSeconds * 1_000_000_000, bootID: boot,
          sinceBoot: 10_000_001_000))
      return lab.breaker.remainingOpenTime
    }
    #expect(remaining(wallSeconds: 5, boot: "b1") == .seconds(40))
    #expect(remaining(wallSeconds: -3600, boot: "b1") == .seconds(45))
    #expect(remaining(wallSeconds: 3600, boot: "b1") == nil, "half-open")
    #expect(remaining(wallSeconds: 3600, boot: "b0") == .seconds(35), "the same boot: its clock")
  }

  @Test("A window by time goes on where it was, less what has become too old")
  func timeWindow() throws {
    let configuration = CircuitBreaker.Configuration(
      consecutiveFailures: nil, failureRate: 1, window: .time(.seconds(10)), minimumVolume: 100)
    let lab = Lab(configuration)
    for _ in 0..<6 {
      try lab.breaker.admit().fail(Down())
      lab.clock.advance(by: .seconds(1))
    }
    let start = PersistedMoment(wall: 0, bootID: "a", sinceBoot: 0)
    let saved = lab.breaker.snapshot(at: start)
    let bytes = try JSONEncoder().encode(saved)
    let read = try JSONDecoder().decode(CircuitBreaker.Snapshot.self, from: bytes)
    #expect(read == saved)
    func failures(after seconds: Int64) -> Int {
      let later = Lab(configuration)
      later.breaker.restore(
        read, at: PersistedMoment(wall: 0, bootID: "a", sinceBoot: seconds * 1_000_000_000))
      return later.breaker.explain().failures
    }
    #expect(failures(after: 0) == 6)
    #expect([3, 4].contains(failures(after: 6)))
    #expect(failures(after: 20) == 0)
    #expect(failures(after: 1_000_000) == 0)
    let other = Lab()
    other.breaker.restore(read, at: start)
    #expect(other.breaker.explain().calls == 0, "another shape starts empty")
  }

  @Test("A snapshot taken now can be restored now")
  func realClocks() throws {
    let breaker = CircuitBreaker(configuration: .init(consecutiveFailures: 1))
    try breaker.admit().fail(Down())
    let restored = CircuitBreaker()
    restored.restore(breaker.snapshot())
    let remaining = try #require(restored.remainingOpenTime)
    #expect(remaining > .seconds(50) && remaining <= .seconds(60))
  }

  @Test("Tickets out when a snapshot is restored no longer count")
  func staleTickets() throws {
    let lab = Lab(.init(consecutiveFailures: 1))
    let old = try lab.held()
    lab.breaker.restore(lab.breaker.snapshot())
    old.take().fail(Down())
    #expect(lab.breaker.state == .closed)
    #expect(lab.count("stale") == 1)
  }
}
