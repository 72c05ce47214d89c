import Dispatch
import ReliabilityTesting
import Testing
import TimeoutManager

/// Where the body runs, and what flows into it.
@Suite struct WithTimeoutIsolationTests {
  let clock = ManualClock()

  /// Not `Sendable` on purpose.
  final class Notes { var lines: [String] = [] }

  @Test @MainActor func mainActorCallerKeepsItsIsolationAndItsNonSendableResult() async throws {
    let notes = Notes()
    let same = try await withTimeout(.seconds(1), clock: clock) {
      MainActor.assertIsolated()
      await Task.yield()
      MainActor.assertIsolated()
      notes.lines.append("written on the main actor")
      return notes
    }
    #expect(same === notes)
    #expect(notes.lines.count == 1)
  }

  actor Counter {
    var value = 0
    func add(_ clock: ManualClock) async throws -> Int {
      try await withTimeout(.seconds(1), clock: clock) {
        self.value += 1
        await Task.yield()
        self.assertIsolated()
        self.value += 1
        return self.value
      }
    }
  }

  @Test func actorCallerUsesItsStateInTheBody() async throws {
    #expect(try await Counter().add(clock) == 2)
  }

  /// Runs jobs on a queue that can be recognized.
  final class QueueExecutor: TaskExecutor {
    private let queue = DispatchQueue(label: "test.executor")
    private let key = DispatchSpecificKey<Bool>()
    init() { queue.setSpecific(key: key, value: true) }
    var isCurrent: Bool { DispatchQueue.getSpecific(key: key) == true }
    func enqueue(_ job: consuming ExecutorJob) {
      let job = UnownedJob(job)
      queue.async { unsafe job.runSynchronously(on: self.asUnownedTaskExecutor()) }
    }
  }

  @Test func preferredExecutorOfTheCallerRunsTheBodyAndItsChildren() async throws {
    let executor = QueueExecutor()
    let seen = try await withTaskExecutorPreference(executor) {
      try await withTimeout(.seconds(1), clock: clock) {
        let atFirst = executor.isCurrent
        await Task.yield()
        async let child = executor.isCurrent
        return [atFirst, executor.isCurrent, await child]
      }
    }
    #expect(seen == [true, true, true])
    let afterwards = try await withTimeout(.seconds(1), clock: clock) {
      await Task.yield()
      return executor.isCurrent
    }
    #expect(!afterwards)
  }

  enum Local { @TaskLocal static var name = "outside" }

  @Test func limitInsideTheBodyOfATaskGroupLeavesTheGroupItsOwnDeadline() async throws {
    let ends = try await withThrowingTaskGroup(of: Deadline?.self) { group in
      let inner = try await withTimeout(.seconds(10)) {
        async let child = Deadline.current
        return await child
      }
      #expect(inner != nil)
      for _ in 0..<3 { group.addTask { Deadline.current } }
      return try await group.reduce(into: [Deadline?]()) { $0.append($1) }
    }
    #expect(ends == [nil, nil, nil])
  }

  @Test func taskLocalValuesAndPriorityFlowIntoTheBody() async throws {
    try await Local.$name.withValue("inside") {
      try await withTimeout(.seconds(1), clock: clock) { #expect(Local.name == "inside") }
    }
    let priorities = try await Task(priority: .high) {
      (
        Task.currentPriority,
        try await withTimeout(.seconds(1), clock: clock) { Task.currentPriority }
      )
    }.value
    #expect(priorities.0 == priorities.1)
  }
}
