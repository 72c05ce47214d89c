import Testing

@testable import DurableJobs

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#elseif canImport(Musl)
  import Musl
#endif

@Suite(.serialized, .timeLimit(.minutes(10))) struct RealTimeBusyActorTests {
  /// Who calls from an actor writes for others too, and they must not wait for that actor.
  @MainActor @Test func busyMainActorHoldsUpNobodyElse() async throws {
    let machine = Machine()
    let store = try await machine.open()
    let done = Log<Int>()
    let mine = Task { @MainActor in try await store.insert([.plain()]).count }
    // It begins, and leaves the actor to wait for the disk.
    await Task.yield()
    let others = (0..<4).map { _ in
      Task.detached {
        for _ in 0..<20 { _ = try await store.insert([.plain()]) }
        done.append(1)
      }
    }
    var patience = 60_000
    while done.all.count < others.count, patience > 0 {
      usleep(1000)
      patience -= 1
    }
    #expect(patience > 0, "the others waited for the busy actor")
    for other in others { try await other.value }
    #expect(try await mine.value == 1)
    #expect(try await store.figures().live == 81)
  }
}
