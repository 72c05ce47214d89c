import ReliabilityIO
import ReliabilityTestSupport
import Testing

@testable import DeadLetterQueue

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#elseif canImport(Musl)
  import Musl
#endif

/// Real other processes: copies of this program that the system tells apart.
@Suite(.realTime, .serialized) struct RealTimeLetterProcessTests {
  @Test(.timeLimit(.minutes(10))) func aSecondProcessIsToldWhoOwnsTheFile() async throws {
    let scratch = Scratch()
    let owner = try await DeadLetterQueue<Order>(scratch.file("letters"))
    try await owner.add(1)
    await #expect(processExitsWith: .success) {
      [path = scratch.file("letters") as String, parent = getpid() as Int32] in
      do {
        _ = try await DeadLetterQueue<Order>(path)
        exit(1)
      } catch let error as StoreError where error.code == .inUse {
        guard error.owner?.processIdentifier == parent else { exit(2) }
      }
      let reader = try await DeadLetterQueue<Order>(path, access: .readOnly)
      guard try await reader.numbers() == [1] else { exit(3) }
    }
    try await owner.close()
    await #expect(processExitsWith: .success) { [path = scratch.file("letters") as String] in
      let queue = try await DeadLetterQueue<Order>(path)
      try await queue.add(2)
    }
    #expect(try await DeadLetterQueue<Order>(scratch.file("letters")).numbers() == [1, 2])
  }

  @Test(.timeLimit(.minutes(10))) func aKilledOwnerLosesNothingAndItsRedriveIsCounted() async throws
  {
    let scratch = Scratch()
    await #expect(processExitsWith: .signal(SIGKILL)) {
      [path = scratch.file("letters") as String] in
      let queue = try await DeadLetterQueue<Order>(path)
      for number in 1...5 { try await queue.add(number) }
      try await queue.redrive { order, _ in
        if order.number == 3 { kill(getpid(), SIGKILL) }
      }
    }
    let queue = try await DeadLetterQueue<Order>(scratch.file("letters"))
    #expect(try await queue.everything().map(\.redriveCount) == [1, 0, 0])
    #expect(try await queue.numbers() == [3, 4, 5])
    #expect(try await queue.redrive { _, _ in }.succeeded == 3)
  }
}
