import ReliabilityCore
import ReliabilityTestSupport
import ReliabilityTesting
import RetryKit
import Testing

/// Not Sendable: only compiles where `retry` neither sends the body nor its result.
final class Scratch {
  var count = 0
}

actor Owner {
  let scratch = Scratch()

  func work(_ policy: RetryPolicy) async throws -> Int {
    let result = try await retry(policy) { attempt in
      self.assertIsolated()
      scratch.count += 1
      if attempt < 3 { throw Flaky() }
      return scratch
    }
    return result.count
  }
}

struct Unique: ~Copyable {
  let value: Int
}

@Suite struct RetryIsolationTests {
  let instant = RetryPolicy(backoff: .none)

  @MainActor
  @Test("Works on the main actor with captures that are not Sendable, and stays there")
  func mainActor() async throws {
    let scratch = Scratch()
    let result = try await retry(instant) { attempt in
      MainActor.assertIsolated()
      scratch.count += 1
      if attempt < 2 { throw Flaky() }
      return scratch
    }
    #expect(result === scratch)
    #expect(scratch.count == 2)
    let refused = try await retry(instant, while: { $0.count < 4 }) {
      scratch.count += 1
      return scratch
    }
    #expect(refused.count == 4)
  }

  @Test("Works on an actor with its state captured")
  func onActor() async throws {
    #expect(try await Owner().work(instant) == 3)
  }

  @Test("P45: the type of the result is kept, also of one that can't be copied")
  func resultTypes() async throws {
    let unique = try await retry(instant) { attempt in
      if attempt == 1 { throw Flaky() }
      return Unique(value: attempt)
    }
    #expect(unique.value == 2)
    let text: String = try await retry { "typed" }
    #expect(text == "typed")
    try await retry {}
  }

  @Test(
    "P44: reading a sequence inside the body is retried, opening one is retried under its own name")
  func sequences() async throws {
    func numbers(failing: Bool) -> AsyncThrowingStream<Int, any Error> {
      AsyncThrowingStream {
        $0.yield(1)
        $0.finish(throwing: failing ? Flaky() : nil)
      }
    }
    let read = try await retry(instant) { attempt in
      try await numbers(failing: attempt < 3).reduce(into: []) { $0.append($1) }
    }
    #expect(read == [1])

    let openings = Log<Int>()
    let opened = try await retryOpening(instant) {
      openings.append(1)
      if openings.count < 2 { throw Flaky() }
      return numbers(failing: true)
    }
    #expect(openings.count == 2)
    let error = await failure { for try await _ in opened {} }
    #expect(error is Flaky, "an error while reading is nobody's but the reader's")

    // With the number of the attempt too: `retry` in its place would be a warning.
    let numbered = try await retryOpening(instant) { attempt in
      if attempt < 3 { throw Flaky() }
      return numbers(failing: false)
    }
    #expect(try await numbered.reduce(0, +) == 1)
  }

  @TaskLocal static var marker = 0

  @Test("Task-local values reach every attempt")
  func taskLocals() async throws {
    try await Self.$marker.withValue(7) {
      try await retry(instant) { attempt in
        #expect(Self.marker == 7)
        if attempt < 3 { throw Flaky() }
      }
    }
  }
}
