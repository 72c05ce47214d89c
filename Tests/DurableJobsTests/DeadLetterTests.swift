import DeadLetterQueue
import ReliabilityCore
import ReliabilityTesting
import Testing

@testable import DurableJobs

@Suite(.timeLimit(.minutes(10))) struct DeadLetterTests {
  @Test func deadJobKeepsItsWholeStoryAndRedriveAllEndsThoughItDiesAgain() async throws {
    let letters = DeadLetterQueue<Work>()
    let lab = Lab {
      $0.deadLetters = letters
    } handlers: {
      $0.handle(Work.self) { _, _ in throw Trouble() }
    }
    var options = JobOptions()
    options.maxAttempts = 2
    options.unique = UniqueKey("only")
    try await lab.run { queue in
      let id = try await queue.enqueue(Work(number: 5), options: options).id
      lab.clock.advance(by: await lab.retrying())
      #expect(await lab.failed().isDead)
      #expect(try await queue.status(of: id)?.state == .dead)
      var page = try await letters.letters(matching: .kind("work"))
      let letter = try #require(page.letters.first)
      #expect(letter.attempts.map(\.number) == [1, 2])
      #expect(letter.category == .network && letter.source == "jobs/\(id)")
      #expect(try letter.payload(as: Work.self) == Work(number: 5))
      // Done again from the letter, with all of its attempts, and the unique key is free.
      let report = try await letters.redrive(.kind("work")) { job, _ in
        let made = try await queue.enqueue(job, options: options)
        #expect(!made.isDuplicate)
      }
      #expect(report.succeeded == 1)
      lab.clock.advance(by: await lab.retrying())
      #expect(await lab.failed().isDead)
      page = try await letters.letters(matching: .kind("work"))
      #expect(page.letters.count == 1)
    }
  }

  @Test func payloadThatNobodyReadsIsKeptByteForByte() async throws {
    let letters = DeadLetterQueue<Work>()
    let lab = Lab {
      $0.deadLetters = letters
    } handlers: {
      $0.handle(Work.self) { _, _ in }
    }
    _ = try await lab.store.insert([JobSubmission(kind: "work", payload: [0, 255, 10])])
    try await lab.run { _ in
      #expect(await lab.failed().isDead)
      let page = try await letters.letters(matching: .kind("work"))
      #expect(page.letters.map(\.payload) == [[0, 255, 10]])
    }
  }
}
