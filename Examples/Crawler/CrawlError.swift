internal import Reliability
internal import ReliabilityExampleSupport

/// Why an address could not be used.
struct CrawlError: ClassifiedError, ErrorWithCauses, CustomStringConvertible {
  enum Code: Hashable, Sendable {
    /// The connection failed, or could not be made.
    case connection
    /// The body ended before the promised length.
    case shortBody(received: Int)
    /// The body is longer than is read.
    case tooLarge(limit: Int)
    /// The answer is of a kind that is not asked for.
    case wrongType(String)
    /// The file says it is a sound and is not.
    case badAudio(String)
    /// The host's address belongs to this machine or a private network.
    case privateAddress(String)
    /// A redirect leads to an address that has been visited on the way.
    case redirectLoop
    /// Too many redirects in a row.
    case tooManyRedirects(Int)
    /// A redirect leads where the crawl may not go, or nowhere.
    case redirectRefused(String)
    /// The site's robots.txt could not be read, which forbids everything.
    case robotsUnavailable(site: String)
    /// A step can't do its work.
    case step(String)
  }

  let code: Code
  var cause: (any Error)?

  init(_ code: Code, cause: (any Error)? = nil) {
    self.code = code
    self.cause = cause
  }

  var causes: [any Error] { cause.map { [$0] } ?? [] }

  var category: ErrorCategory {
    switch code {
    case .connection, .shortBody: .network
    case .robotsUnavailable: .dependency
    case .step: cause.map { ErrorClassifier.default.classify($0).category } ?? .unknown
    default: .validation
    }
  }

  var retryability: Retryability {
    switch code {
    case .connection, .shortBody: .retryable()
    default: .notRetryable
    }
  }

  var userMessage: String? { "\(description.prefix(1).uppercased())\(description.dropFirst())." }

  var suggestedActions: [String] {
    switch code {
    case .privateAddress: ["Give --allow-private if the address is meant to be visited."]
    case .connection, .shortBody, .robotsUnavailable: ["Try again later."]
    default: ["Look at the address in a browser; nothing was written for it."]
    }
  }

  var description: String {
    switch code {
    case .connection: cause.map { "the connection failed: \($0)" } ?? "the connection failed"
    case .shortBody(let received): "the body ended early, after \(received) bytes"
    case .tooLarge(let limit): "the body is longer than the \(ByteText.short(limit)) that are read"
    case .wrongType(let type): "the answer is of type \(type.quotedForDisplay)"
    case .badAudio(let reason): "the file is not the sound it claims to be: \(reason)"
    case .privateAddress(let text): "\(text); such addresses are not visited"
    case .redirectLoop: "a redirect leads back to where it came from"
    case .tooManyRedirects(let count): "more than \(count) redirects in a row"
    case .redirectRefused(let target):
      "a redirect leads to \(target.quotedForDisplay), which is not followed"
    case .robotsUnavailable(let site):
      "the robots.txt of \(site) can't be read, so nothing there may be fetched"
        + (cause.map { " (\($0))" } ?? "")
    case .step(let name): "the step \(name) failed" + (cause.map { ": \($0)" } ?? "")
    }
  }
}

/// A candidate or page that is left out by a rule: no failure.
struct Rejection: ClassifiedError, CustomStringConvertible {
  /// Which step left it out.
  let step: String
  let reason: String
  var category: ErrorCategory { .validation }
  var retryability: Retryability { .notRetryable }
  var description: String { "left out by \(step): \(reason)" }
}
