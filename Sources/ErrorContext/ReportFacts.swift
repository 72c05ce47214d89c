/// What a report says of the error itself, apart from its contexts.
struct ReportFacts {
  let type: String
  let message: String
  let category: ErrorCategory
  let retryability: Retryability
  let title: String
  let userMessage: String
  let causes: [ErrorReport.Cause]
  private let ownActions: [String]
  private let categoryActions: [String]

  init(_ error: any Error, options: ErrorReport.Options) {
    let classifier = options.classifier ?? .default
    let redaction = options.redaction
    let answer = classifier.classify(error)
    let classified = error as? any ClassifiedError
    category = ReportText.category(answer.category)
    retryability = answer.retryability
    type = ReportText.typeName(of: error)
    message = ReportText.message(
      of: error, limit: 4096, redaction: redaction, classifier: classifier)
    let standard = CategoryText(category)
    title = standard.title
    let ownMessage = (answer.userMessage ?? classified?.userMessage)
      .map { ReportText.clean($0, limit: 1024, redaction: redaction) }
    userMessage = ownMessage.flatMap { ReportText.isBlank($0) ? nil : $0 } ?? standard.userMessage
    let actions =
      answer.suggestedActions.isEmpty ? classified?.suggestedActions ?? [] : answer.suggestedActions
    ownActions = actions.prefix(8).map { ReportText.clean($0, limit: 256, redaction: redaction) }
      .filter { !ReportText.isBlank($0) }
    categoryActions = standard.suggestedActions
    causes = Self.causes(of: error, classifier: classifier, redaction: redaction)
  }

  /// The message, with the type in front when the message alone is a bare word such as the name of an enum's case.
  var detail: String {
    if message.utf8.contains(where: { $0 == 0x20 }) { return message }
    return ReportText.printable("\(type): \(message)", limit: 4096)
  }

  func suggestedActions(recommendedQuality quality: String?) -> [String] {
    let actions = ownActions.isEmpty ? categoryActions : ownActions
    guard let quality, category == .memoryExhaustion || category == .timeout else { return actions }
    return ["Try again with quality \(quality)."] + actions.prefix(7)
  }

  /// The causes breadth first, nearest first.
  private static func causes(
    of error: any Error, classifier: ErrorClassifier, redaction: Redaction
  ) -> [ErrorReport.Cause] {
    var waiting = Array(classifier.causes(of: error))
    var found: [ErrorReport.Cause] = []
    var next = 0
    while next < waiting.count, found.count < 8, next < 64 {
      let cause = (waiting[next] as? ContextualError)?.underlying ?? waiting[next]
      next += 1
      found.append(
        ErrorReport.Cause(
          type: ReportText.typeName(of: cause),
          message: ReportText.message(
            of: cause, limit: 1024, redaction: redaction, classifier: classifier),
          category: classifier.classify(cause).category))
      waiting += classifier.causes(of: cause)
    }
    return found
  }
}
