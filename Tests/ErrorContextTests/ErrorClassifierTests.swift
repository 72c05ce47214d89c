import ErrorContext
import Testing

@Suite struct ErrorClassifierTests {
  @Test("An error nobody knows is unknown and retryable")
  func unknownError() {
    #expect(ErrorClassifier().classify(Plain()) == .unknown)
    #expect(Classification.unknown.retryability.isRetryable)
  }

  @Test("A cancellation is cancelled and never retried, also inside contexts")
  func cancellation() {
    let classifier = ErrorClassifier()
    #expect(classifier.classify(CancellationError()) == .cancelled)
    #expect(classifier.isCancellation(CancellationError()))
    let wrapped = Group(causes: [Group(causes: [CancellationError()])])
    #expect(classifier.isCancellation(wrapped))
    #expect(!classifier.isCancellation(Plain()))
  }

  @Test("A timeout whose cause is a cancellation is a timeout")
  func timeoutCausedByCancellation() {
    struct Timeout: ClassifiedError, ErrorWithCauses {
      var category: ErrorCategory { .timeout }
      var retryability: Retryability { .retryable() }
      var causes: [any Error] { [CancellationError()] }
    }
    #expect(!ErrorClassifier().isCancellation(Timeout()))
    #expect(ErrorClassifier().classify(Timeout()).category == .timeout)
  }

  @Test("Decoding and encoding errors are validation and not retried")
  func coding() {
    let context = DecodingError.Context(codingPath: [], debugDescription: "no")
    #expect(
      ErrorClassifier().classify(DecodingError.dataCorrupted(context))
        == Classification(.validation, .notRetryable))
    let encoding = EncodingError.invalidValue(
      1, .init(codingPath: [], debugDescription: "no", underlyingError: Plain(number: 3)))
    #expect(ErrorClassifier().classify(encoding) == Classification(.validation, .notRetryable))
    #expect(ErrorClassifier().causes(of: encoding).first as? Plain == Plain(number: 3))
  }

  @Test(
    "A rule for the type wins over what the error says itself, which wins over rules for any error")
  func precedence() {
    let open = ErrorClassifier.Rule("any") { _ in Classification(.process, .notRetryable) }
    let typed = ErrorClassifier.Rule(Classified.self) { _ in Classification(.payment, .retryable())
    }
    #expect(ErrorClassifier([open]).classify(Classified()).category == .database)
    #expect(ErrorClassifier([open]).classify(Plain()).category == .process)
    #expect(ErrorClassifier([open, typed]).classify(Classified()).category == .payment)
  }

  @Test("The newest rule for any error answers first, and one that declines passes the error on")
  func newestFirst() {
    let first = ErrorClassifier.Rule("first") { _ in Classification(.network, .retryable()) }
    let second = ErrorClassifier.Rule("second") { error in
      (error as? Plain)?.number == 1 ? Classification(.timeout, .retryable()) : nil
    }
    let classifier = ErrorClassifier([first]).adding([second])
    #expect(classifier.classify(Plain(number: 1)).category == .timeout)
    #expect(classifier.classify(Plain(number: 2)).category == .network)
  }

  @Test("A rule takes the place of the one with its name")
  func sameName() {
    let old = ErrorClassifier.Rule("rule") { _ in Classification(.network, .retryable()) }
    let new = ErrorClassifier.Rule("rule") { _ in nil }
    #expect(ErrorClassifier([old]).adding([new]).classify(Plain()) == .unknown)
  }

  @Test("A wrapper is what it wraps")
  func wrapper() {
    let inner = Classified(category: .network, retryability: .retryable(after: .seconds(3)))
    #expect(
      ErrorClassifier().classify(Group(causes: [inner]))
        == Classification(.network, .retryable(after: .seconds(3))))
  }

  @Test(
    "Several causes are retryable only if all are, after the longest wait; cancellations among them don't count"
  )
  func severalCauses() {
    let classifier = ErrorClassifier()
    let soon = Classified(category: .network, retryability: .retryable(after: .seconds(1)))
    let late = Classified(category: .timeout, retryability: .retryable(after: .seconds(9)))
    let open = Classified(category: .timeout, retryability: .retryable())
    let never = Classified(category: .validation)
    func classify(_ causes: any Error...) -> Classification {
      classifier.classify(Group(causes: causes))
    }
    #expect(classify(soon, open, late) == Classification(.network, .retryable(after: .seconds(9))))
    #expect(classify(open, soon) == Classification(.timeout, .retryable(after: .seconds(1))))
    #expect(classify(CancellationError(), soon, never) == Classification(.network, .notRetryable))
    #expect(classify(CancellationError(), CancellationError()) == .cancelled)
    #expect(classifier.classify(Group(causes: [])) == .unknown)
  }

  @Test("An error that is its own cause is unknown, and looking at it ends")
  func cycle() {
    final class Ouroboros: ErrorWithCauses, Sendable {
      var causes: [any Error] { [self, self] }
    }
    #expect(ErrorClassifier().classify(Ouroboros()).category == .unknown)
    #expect(Ouroboros().underlying(as: Plain.self) == nil)
    #expect(ErrorReport(Ouroboros()).causes.count == 8)
  }

  @Test("Installed rules count for the default from then on, installing twice is installing once")
  func install() async {
    struct Foreign: Error {}
    #expect(ErrorClassifier.default.classify(Foreign()) == .unknown)
    await withTaskGroup(of: Void.self) { group in
      for _ in 0..<20 {
        group.addTask {
          ErrorClassifier.install([
            .init(Foreign.self) { _ in Classification(.overload, .retryable()) }
          ])
        }
      }
    }
    #expect(ErrorClassifier.default.classify(Foreign()).category == .overload)
  }

  @Test("A rule finds causes and words messages for errors that can't themselves")
  func causesAndMessages() {
    struct Opaque: Error {}
    let rule = ErrorClassifier.Rule(Opaque.self) { _ in nil }
      .findingCauses { _ in [Classified(category: .database)] }
      .describing { _ in "the driver gave up" }
    let classifier = ErrorClassifier([rule])
    #expect(classifier.classify(Opaque()).category == .database)
    var options = ErrorReport.Options()
    options.classifier = classifier
    let report = ErrorReport(Opaque(), options: options)
    #expect(report.detail == "the driver gave up")
    #expect(report.causes.map(\.category) == [.database])
  }

  @Test("Errors that are each other's causes many times over are classified in no time")
  func branchingCycle() {
    final class Knot: ErrorWithCauses, Sendable {
      var causes: [any Error] { [any Error](repeating: self, count: 16) }
    }
    #expect(ErrorClassifier.default.classify(Knot()) == .unknown)
    #expect(ErrorReport(Knot()).causes.count == 8)
  }
}

extension ErrorCategory {
  fileprivate static let payment = ErrorCategory(rawValue: "payment")
}
