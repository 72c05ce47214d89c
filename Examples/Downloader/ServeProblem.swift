internal import Reliability
internal import ReliabilityExampleSupport

/// Why a request is not done, with the status that says so.
struct ServeProblem: ClassifiedError, Hashable, CustomStringConvertible {
  let status: Int
  let reason: String
  var retryAfter: Duration?
  var headers: [HTTPField] = []

  init(_ status: Int, _ reason: String) {
    self.status = status
    self.reason = reason
  }

  static func notFound(_ what: String) -> ServeProblem { ServeProblem(404, "there is no \(what)") }

  var category: ErrorCategory {
    switch status {
    case 429, 503: .overload
    case 500...: .unknown
    default: .validation
    }
  }
  var retryability: Retryability {
    status == 429 || status == 503 ? .retryable(after: retryAfter) : .notRetryable
  }
  var userMessage: String? { "The request was not done: \(reason)." }
  var suggestedActions: [String] {
    status == 429 || status == 503 ? ["Try again later."] : ["Correct the request."]
  }
  var description: String { reason }

  /// The answer to a request that failed: a problem document (RFC 9457).
  static func reply(to error: any Error) -> HTTPReply {
    let problem = error as? ServeProblem
    let (status, wait): (Int, Duration?) =
      switch error {
      case let problem as ServeProblem: (problem.status, problem.retryAfter)
      case let full as QueueFullError: (503, full.retryAfter)
      case is JobRefusal, is AddressBook.Failure, is UsageError: (400, nil)
      // About another server, which was asked for somebody.
      case is TimeoutError: (504, nil)
      case is HTTPStatusError, is HTTPFetch.Failure, is DownloadError: (502, nil)
      default: (500, nil)
      }
    var headers = [HTTPField("Content-Type", ErrorReport.mediaType)] + (problem?.headers ?? [])
    if let wait {
      headers.append(HTTPField("Retry-After", "\(max(1, Int((wait / .seconds(1)).rounded(.up))))"))
    }
    return HTTPReply(
      status: status, headers: headers,
      body: .bytes(ErrorReport(error, status: status).json()))
  }
}
