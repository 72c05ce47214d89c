/// An HTTP response whose status says that the request failed.
///
/// Works with any client: it knows the number and the `Retry-After` header, no networking library.
///
///     let (body, response) = try await fetch(url)
///     try HTTPStatusError.check(response.statusCode, retryAfter: response.header("Retry-After"))
///     return body
public struct HTTPStatusError: ClassifiedError, Hashable {
  /// The status code of the response.
  public let statusCode: Int

  /// How long the server asked to wait, when it did.
  ///
  /// Never negative. Not bounded here: whoever waits bounds it.
  public let retryAfter: Duration?

  /// Makes an error for a status code.
  ///
  /// - Parameters:
  ///   - statusCode: The response's status code.
  ///   - retryAfter: How long the server asked to wait; negative counts as zero.
  public init(_ statusCode: Int, retryAfter: Duration? = nil) {
    self.statusCode = statusCode
    self.retryAfter = retryAfter?.clamped
  }

  /// Throws when the status says that the request failed.
  ///
  /// - Parameters:
  ///   - statusCode: The response's status code. 100 to 399 pass; everything else is a failure.
  ///   - retryAfter: The value of the `Retry-After` header, in either of its forms (RFC 9110, section 10.2.3). A value
  ///     that is neither is ignored.
  ///   - now: The wall time that an HTTP date is compared with.
  /// - Throws: `HTTPStatusError` for a failure.
  public static func check(
    _ statusCode: Int, retryAfter: @autoclosure () -> String? = nil,
    now: @autoclosure () -> WallTime = .now
  ) throws(HTTPStatusError) {
    guard !(100..<400).contains(statusCode) else { return }
    throw HTTPStatusError(
      statusCode, retryAfter: retryAfter().flatMap { RetryAfter.parse($0, now: now()) })
  }

  /// What kind of trouble the status is.
  ///
  /// | status | category |
  /// |---|---|
  /// | 408, 504 | timeout |
  /// | 429 | overload |
  /// | other 4xx | validation |
  /// | 507 | fileSystem |
  /// | other 5xx | dependency |
  /// | anything else | network |
  public var category: ErrorCategory {
    switch statusCode {
    case 408, 504: .timeout
    case 429: .overload
    case 507: .fileSystem
    case 400..<500: .validation
    case 500..<600: .dependency
    default: .network
    }
  }

  /// Whether the same request may succeed later.
  ///
  /// Retryable: 408, 421, 425, 429, 500, 502, 503, 504, and any status that carries `Retry-After` in the ranges 4xx
  /// and 5xx other than 501 and 505. Everything else the server would answer in the same way again.
  public var retryability: Retryability {
    switch statusCode {
    case 408, 421, 425, 429, 500, 502, 503, 504: .retryable(after: retryAfter)
    case 501, 505: .notRetryable
    case 400..<600: retryAfter.map { .retryable(after: $0) } ?? .notRetryable
    default: .notRetryable
    }
  }

  /// What the status means for a person.
  public var userMessage: String? {
    switch statusCode {
    case 401: "The server asks for a login (HTTP 401)."
    case 403: "The server does not allow this (HTTP 403)."
    case 404: "The server has nothing at this address (HTTP 404)."
    case 410: "What was at this address is gone for good (HTTP 410)."
    case 408, 504: "The server took too long (HTTP \(statusCode))."
    case 429: "The server asks for fewer requests (HTTP 429)."
    case 503: "The server is not available at the moment (HTTP 503)."
    case 400..<500: "The server refused the request (HTTP \(statusCode))."
    case 500..<600: "The server failed (HTTP \(statusCode))."
    default: "The server gave an unexpected answer (HTTP \(statusCode))."
    }
  }

  /// What a person can do about it.
  public var suggestedActions: [String] {
    switch statusCode {
    case 401, 403: ["Check the credentials and whether they allow this."]
    case 404, 410: ["Check the address."]
    case 429: ["Wait a while, then send fewer requests at a time."]
    case 500..<600, 408: ["Try again later."]
    default: []
    }
  }
}

extension HTTPStatusError: CustomStringConvertible {
  /// The status code and the wait the server asked for.
  public var description: String {
    "HTTP status \(statusCode)" + (retryAfter.map { ", retry after \($0)" } ?? "")
  }
}
