import ErrorContext
import Testing

@Suite struct WithErrorContextTests {
  @Test(
    "An error leaves with name, values and source of each context, innermost first, in one wrapper")
  func frames() throws {
    func work() throws {
      try withErrorContext("outer", ["job": .public(7)]) {
        try withErrorContext("inner", ["url": "secret"]) { throw Plain(number: 1) }
      }
    }
    let line: UInt = #line - 4
    let contextual = try #require(leaving(work))
    #expect(contextual.underlying as? Plain == Plain(number: 1))
    #expect(contextual.frames.map(\.name) == ["inner", "outer"])
    #expect(
      contextual.frames[0].source == "ErrorContextTests/WithErrorContextTests.swift:\(line + 1)")
    #expect(contextual.frames[1].values.description == "job=7")
    #expect(contextual.frames[0].values.description == "url=<private>")
    #expect(!"\(contextual)".contains("secret"))
    #expect(!String(reflecting: contextual).contains("secret"))
  }

  @Test("Results pass through unchanged, nil and non-Sendable ones included")
  func results() async {
    final class Box { var value = 1 }
    #expect(withErrorContext("a") { 5 } == 5)
    #expect(withErrorContext("a") { nil as Int? } == nil)
    let box = Box()
    let same = await withErrorContext("a") { () async -> Box in
      box.value += 1
      return box
    }
    #expect(same === box && box.value == 2)
  }

  @Test("A cancellation is not wrapped")
  func cancellation() async {
    await #expect(throws: CancellationError.self) {
      try await withErrorContext("a") {
        try await withErrorContext("b") { () async throws in throw CancellationError() }
      }
    }
  }

  @MainActor @Test("From the main actor the body runs there, with captures that are not Sendable")
  func mainActor() async throws {
    final class Box { var value = 0 }
    let box = Box()
    try await withErrorContext("work") {
      MainActor.assertIsolated()
      box.value += 1
      await Task.yield()
      MainActor.assertIsolated()
      if box.value == 0 { throw Plain() }
    }
    #expect(box.value == 1)
  }

  @Test("From an actor the body may use the actor's state")
  func actorState() async {
    actor Counter {
      var count = 0
      func work() async -> Int {
        await withErrorContext("count", ["n": .public(count)]) {
          count += 1
          await Task.yield()
          count += 1
          return count
        }
      }
    }
    #expect(await Counter().work() == 2)
  }

  @Test("The classification is that of the error inside")
  func classification() {
    let inner = Classified(
      category: .network, retryability: .retryable(after: .seconds(4)), userMessage: "Down.",
      suggestedActions: ["Wait."])
    let error = leaving { try withErrorContext("a") { throw inner } }
    #expect(error?.category == .network)
    #expect(error?.retryability == .retryable(after: .seconds(4)))
    #expect(error?.userMessage == "Down.")
    #expect(error?.suggestedActions == ["Wait."])
    #expect(ErrorClassifier().classify(error!).category == .network)
  }

  @Test("underlying(as:) looks through contexts and causes, to concrete types and protocols")
  func underlying() throws {
    let deep = Group(causes: [Plain(number: 1), Group(causes: [Classified()])])
    let error: any Error = try #require(leaving { try withErrorContext("a") { throw deep } })
    #expect(error.underlying(as: Group.self)?.causes.count == 2)
    #expect(error.underlying(as: Plain.self) == Plain(number: 1))
    #expect(error.underlying(as: Classified.self) != nil)
    #expect(error.underlying(as: (any ClassifiedError).self) is Classified)
    #expect(error.underlying(as: ContextualError.self) != nil)
    #expect(error.underlying(as: ValidationError.self) == nil)
    #expect(Plain(number: 2).underlying(as: Plain.self) == Plain(number: 2))
  }

  @Test("Attempts go to the innermost context and leave with the error, first five and last five")
  func attempts() throws {
    #expect(!AttemptJournal.isActive)
    AttemptJournal.record(attempt(0))
    let error = try #require(
      leaving {
        try withErrorContext("outer") {
          try withErrorContext("inner") {
            #expect(AttemptJournal.isActive)
            for number in 1...1000 { AttemptJournal.record(attempt(number)) }
            throw Plain()
          }
        }
      })
    #expect(error.attempts.map(\.number) == [1, 2, 3, 4, 5, 996, 997, 998, 999, 1000])
    #expect(error.dropped.attempts == 990)
  }

  @Test("Attempts of a context that ended well do not show in a later failure")
  func attemptsOfSuccess() {
    let error = leaving {
      try withErrorContext("outer") {
        withErrorContext("inner") { AttemptJournal.record(attempt(1)) }
        throw Plain()
      }
    }
    #expect(error?.attempts == [])
  }

  @Test(
    "Remarks are kept from contexts that ended well before the failure, in order, first 8 and last 24"
  )
  func breadcrumbs() throws {
    let error = try #require(
      leaving {
        try withErrorContext("outer") {
          breadcrumb("begin")
          withErrorContext("inner") { for step in 0..<100 { breadcrumb("step \(step)") } }
          breadcrumb("end")
          throw Plain()
        }
      })
    let messages = error.breadcrumbs.map(\.message)
    #expect(messages.count == 32)
    #expect(messages.first == "begin" && messages.last == "end")
    #expect(messages[1] == "step 0" && messages[30] == "step 99")
    #expect(error.dropped.breadcrumbs == 102 - 32)
  }

  @Test("Outside a context a remark's message is not built")
  func breadcrumbOutside() {
    var built = 0
    func message() -> String {
      built += 1
      return ""
    }
    breadcrumb(message())
    #expect(built == 0)
    withErrorContext("a") { breadcrumb(message()) }
    #expect(built == 1)
  }

  @Test("Child tasks leave their remarks in the context around them, from many threads at once")
  func childTasks() async throws {
    do {
      try await withErrorContext("fan out") {
        await withTaskGroup(of: Void.self) { group in
          for index in 0..<200 { group.addTask { breadcrumb("child \(index)") } }
        }
        throw Plain()
      }
    } catch let error as ContextualError {
      #expect(error.breadcrumbs.count == 32)
      #expect(error.dropped.breadcrumbs == 168)
    }
  }

  @Test("An error that passes ten thousand contexts stays small")
  func boundedFrames() throws {
    var error: any Error = Plain()
    for index in 0..<10_000 {
      do { try withErrorContext("level \(index)") { throw error } } catch let wrapped {
        error = wrapped
      }
    }
    let contextual = try #require(error as? ContextualError)
    #expect(contextual.frames.count == 32)
    #expect(contextual.dropped.frames == 10_000 - 32)
    #expect(contextual.frames.first?.name == "level 0")
    #expect(contextual.frames.last?.name == "level 9999")
    #expect(contextual.underlying is Plain)
  }

  private func attempt(_ number: Int) -> AttemptRecord {
    AttemptRecord(
      number: number, failure: Plain(), category: .unknown, at: WallTime(secondsSince1970: 0),
      elapsed: .seconds(1))
  }

  private func leaving(_ body: () throws -> Void) -> ContextualError? {
    do {
      try body()
      return nil
    } catch {
      return error as? ContextualError
    }
  }

  @Test("A secret in a context's name is not printed with the error")
  func secretInName() {
    #expect {
      try withErrorContext("GET https://me:pw@host/?sig=1") { throw Plain() }
    } throws: { error in
      !"\(error)".contains("pw") && !"\(error)".contains("sig")
        && "\(error)".contains("https://<private>@host/?<private>")
    }
  }
}
