import ReliabilityIO
import Synchronization
import Testing

@Suite struct DiskExecutorTests {
  struct Failure: Error, Equatable {}

  @Test func aBodyRunsOffThePoolAndItsResultComesBack() async throws {
    let executor = DiskExecutor(threads: 2)
    #expect(executor.threadCount == 0)
    let value = await executor.run { 42 }
    #expect(value == 42)
    #expect(executor.threadCount == 1)
  }

  @Test func aTypedErrorComesBackTyped() async {
    let executor = DiskExecutor(threads: 1)
    do throws(Failure) {
      try await executor.run { () throws(Failure) in throw Failure() }
      Issue.record("expected an error")
    } catch {
      #expect(error == Failure())
    }
  }

  /// A result that can be neither copied nor shared still comes back.
  final class Unshared {
    var value = 0
  }

  struct Token: ~Copyable {
    let value: Int
  }

  @Test func aResultThatIsNotSendableComesBack() async {
    let executor = DiskExecutor(threads: 1)
    let result = await executor.run { () -> sending Unshared in
      let made = Unshared()
      made.value = 7
      return made
    }
    #expect(result.value == 7)
    let token = await executor.run { Token(value: 8) }
    #expect(token.value == 8)
  }

  @Test @MainActor func theCallerStaysOnItsActor() async {
    let executor = DiskExecutor(threads: 1)
    var onMainActor = 0
    _ = await executor.run { 1 }
    MainActor.assertIsolated()
    onMainActor += 1
    #expect(onMainActor == 1)
  }

  @Test func aCancelledTaskStillGetsItsResult() async {
    let executor = DiskExecutor(threads: 1)
    let task = Task {
      unsafe withUnsafeCurrentTask { unsafe $0?.cancel() }
      return await executor.run { 3 }
    }
    #expect(await task.value == 3)
  }

  @Test func manyJobsAllRunAndThreadsStayWithinTheLimit() async {
    let executor = DiskExecutor(threads: 3)
    let total = await withTaskGroup(of: Int.self) { group in
      for i in 0..<2000 { group.addTask { await executor.run { i } } }
      return await group.reduce(0, +)
    }
    #expect(total == 2000 * 1999 / 2)
    #expect(executor.threadCount <= 3)
  }

  /// Every job waits until as many others run with it, so the test hangs unless all threads serve at once.
  @Test func jobsRunAtTheSameTimeUpToTheLimit() async {
    let threads = 4
    let executor = DiskExecutor(threads: threads)
    let meeting = Meeting(threads)
    await withTaskGroup(of: Void.self) { group in
      for _ in 0..<threads { group.addTask { await executor.run { meeting.arriveAndWait() } } }
    }
    #expect(executor.threadCount == threads)
  }

  /// More blocked disk calls than the pool has threads leave unrelated tasks running.
  @Test func blockedDiskThreadsDoNotBlockOtherTasks() async {
    let executor = DiskExecutor(threads: 2)
    let gate = Meeting(2)
    await withTaskGroup(of: Void.self) { group in
      for _ in 0..<20 { group.addTask { await executor.run { gate.waitUntilOpen() } } }
      // Runs only if the cooperative pool is free.
      group.addTask {
        await Task.yield(); gate.open()
      }
    }
  }

  /// Every thread asleep, one job, and so on: none may be left lying, which would hang here.
  @Test(.timeLimit(.minutes(10))) func aSingleJobAlwaysFindsAThreadThatWakes() async {
    let executor = DiskExecutor(threads: 8)
    await withTaskGroup { group in
      for _ in 0..<8 {
        group.addTask { for _ in 0..<2000 { await executor.run {} } }
      }
    }
    for _ in 0..<10_000 { await executor.run {} }
    #expect(executor.threadCount <= 8)
  }
}

/// A place where threads wait for each other.
///
/// Blocking is the point: it stands in for a slow disk.
final class Meeting: Sendable {
  private let expected: Int
  private let arrived = Atomic<Int>(0)

  init(_ expected: Int) { self.expected = expected }

  func arriveAndWait() {
    arrived.add(1, ordering: .acquiringAndReleasing)
    waitUntilOpen()
  }

  func waitUntilOpen() {
    while arrived.load(ordering: .acquiring) < expected { spin() }
  }

  func open() { arrived.store(expected, ordering: .releasing) }

  private func spin() {
    for _ in 0..<100 { _ = arrived.load(ordering: .relaxed) }
  }
}
