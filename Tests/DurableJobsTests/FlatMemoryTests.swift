import Foundation
import ReliabilityCore
import ReliabilityTestSupport
import ReliabilityTesting
import Testing

@testable import DurableJobs

/// Thirty thousand jobs, a million in a long run: what is kept stays as it is.
@Suite(.serialized, .timeLimit(.minutes(20))) struct FlatMemoryTests {
  private static let jobs = isLongRun ? 1_000_000 : 30_000
  private static let kept = 1000

  private struct Small: DurableJob {
    static let kind = "small"
    init() {}
    func encodedPayload() throws -> [UInt8] { Array("1".utf8) }
    init(encodedPayload: [UInt8]) throws {}
  }

  private static var limits: JobStoreOptions {
    var limits = JobStoreOptions()
    limits.capacity = 4 * kept
    limits.endedKept = kept
    return limits
  }

  /// Puts jobs through a store, and a tenth as many through a queue on it.
  ///
  /// - Parameter footprint: How many places the store keeps.
  private static func run(_ store: any JobStore, footprint: () -> Int) async throws {
    let submissions = (0..<kept).map { _ in JobSubmission(kind: Small.kind, payload: [0x31]) }
    var largest = 0
    for _ in 0..<jobs / kept {
      _ = try await store.insert(submissions)
      let items = try await store.claim(.some(kept, [Small.kind])).items
      let accepted = try await store.settle(
        items.map { JobSettlement($0.lease, .completed(note: nil)) })
      try #require(accepted.count == kept && !accepted.contains(false))
      largest = max(largest, footprint())
    }
    var configuration = JobQueue.Configuration(name: "flat")
    configuration.workers = 16
    let queue = JobQueue(store, configuration: configuration) {
      $0.handle(Small.self) { _, _ in }
    }
    let batch = submissions.map { _ in Small() }
    try await withJobQueue(queue) { queue in
      for _ in 0..<jobs / kept / 10 {
        try await queue.enqueue(contentsOf: batch)
        try await queue.drain()
        largest = max(largest, footprint())
      }
    }
    let metrics = try await queue.metrics()
    #expect(metrics.jobsSucceeded == jobs / 10 && metrics.processed == jobs / 10)
    #expect(metrics.store.states == [.completed: kept])
    // Jobs live and ended, each in two places at most, and as many leftovers again.
    #expect(largest < 12 * kept)
    let shell = queue.shell.withLock { shell in
      shell.runs.count + shell.settlingLeases.count + shell.cancelledEarly.count
        + shell.endWaiters.count + shell.changeWaiters.count + shell.streams.count
    }
    #expect(shell == 0)
  }

  @Test func memoryStoreKeepsNoMoreThanItIsToldTo() async throws {
    let store = MemoryJobStore(options: Self.limits)
    let before = try residentBytes()
    try await Self.run(store) { store.table.withLock { $0.footprint } }
    try Self.checkGrowth(since: before)
  }

  @Test func fileStoreKeepsNoMoreThanItIsToldTo() async throws {
    let directory = ScratchDirectory()
    defer { withExtendedLifetime(directory) {} }
    var options = FileJobStore.Options()
    options.limits = Self.limits
    options.durability = .none
    options.compactionSlack = 1 << 20
    let store = try await FileJobStore(directory.path + "/jobs", options: options)
    let before = try residentBytes()
    try await Self.run(store) {
      store.state.withLock { state in
        state.table.footprint + state.uncertain.count + state.unknownMembers.count
          + state.waiting.records.count + (state.table.history?.count ?? 0)
      }
    }
    try Self.checkGrowth(since: before)
    #expect(store.health.bytes < 4 << 20 && store.health.log.counts.compactions > 0)
    try await store.close()
    let again = try await FileJobStore(directory.path + "/jobs", options: options)
    #expect(try await again.figures().states == [.completed: Self.kept])
  }

  /// A million jobs that were kept would take some hundred megabytes; other tests of this process take less.
  private static func checkGrowth(since before: Int) throws {
    if isLongRun { #expect(try residentBytes() - before < 64 << 20) }
  }
}

/// Bytes of physical memory; zero where the system doesn't say.
private func residentBytes() throws -> Int {
  #if os(Linux)
    let fields = try String(contentsOfFile: "/proc/self/statm", encoding: .utf8)
      .split(separator: " ")
    return (Int(fields[1]) ?? 0) * 4096
  #else
    return 0
  #endif
}
