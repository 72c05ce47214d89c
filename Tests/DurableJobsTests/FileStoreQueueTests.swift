import AtomicStore
import ReliabilityCore
import ReliabilityTesting
import Testing

@testable import DurableJobs

@Suite(.timeLimit(.minutes(10))) struct FileStoreQueueTests {
  /// A full disk for longer than a lease: the job is not given out again, and is done when there is space.
  @Test func aFullDiskIsSatOutWithoutLosingTheLease() async throws {
    let machine = Machine()
    let store = try await machine.open()
    let gate = Gate()
    let runs = Log<Int>()
    let lab = Lab(clock: machine.clock, store: store) {
      $0.handle(Work.self) { _, _ in
        runs.append(1)
        await gate.pass()
      }
    }
    try await lab.run { queue in
      let id = try await queue.enqueue(Work()).id
      await lab.started()
      // Of the log alone: whether its lock is still held from before is a matter of time.
      machine.disk.fail(.write, on: "jobs", with: .noSpace, persistently: true)
      let error = await #expect(throws: StoreError.self) {
        try await queue.enqueue(Work(number: 2))
      }
      #expect(error?.code == .outOfSpace)
      gate.open()
      await lab.happened { if case .storeFailed = $0 { true } else { false } }
      for _ in 0..<40 {
        await lab.clock.scheduled(atLeast: 2)
        lab.clock.advance(by: .seconds(5))
      }
      machine.disk.clearFaults()
      let mover = Task { [clock = lab.clock] in
        while !Task.isCancelled {
          await clock.nextScheduled()
          clock.advance(by: .seconds(5))
          await Task.yield()
        }
      }
      #expect(try await queue.end(of: id)?.state == .completed)
      mover.cancel()
      #expect(try await queue.metrics().leasesExpired == 0 && runs.all.count == 1)
      #expect(try await queue.enqueue(Work(number: 3)).isDuplicate == false)
    }
  }

  @Test func aJobThatKillsItsWorkerIsQuarantinedAcrossRestarts() async throws {
    var machine = Machine()
    let id: JobID
    do {
      let store = try await machine.open()
      id = try await store.insert([
        JobSubmission(kind: "work", payload: Array("{\"number\":0}".utf8))
      ])[0].id
    }
    for _ in 0..<3 {
      machine = machine.crashed(.processKilled)
      let store = try await machine.open()
      #expect(try await store.claim(.some(1, ["work"])).items.count == 1)
    }
    machine = machine.crashed(.processKilled)
    let lab = Lab(clock: machine.clock, store: try await machine.open()) {
      $0.handle(Work.self) { _, _ in Issue.record("it ran again") }
    }
    try await lab.run { queue in
      let error = await lab.failed().error
      #expect(error as? JobEndedError == JobEndedError(.quarantined(crashes: 3)))
      let state = try await queue.status(of: id)?.state
      #expect(state == .failed)
    }
  }
}
