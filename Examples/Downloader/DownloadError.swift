internal import Foundation
internal import FoundationNetworking
internal import Reliability

/// What can be wrong with an answer that HTTP itself has no objection to.
struct DownloadError: ClassifiedError, ErrorWithCauses, CustomStringConvertible {
  enum Code: Hashable, Sendable {
    /// The body ended before or went past the promised length.
    case wrongLength(received: Int, expected: Int)
    /// The bytes are not the ones the checksum stands for.
    case wrongChecksum(received: String, expected: String)
    /// The server sent another part than the one asked for.
    case wrongRange
    /// The connection failed in the middle of the body.
    case brokenOff(received: Int, expected: Int)
    /// The connection failed, or could not be made.
    case connection
  }

  let code: Code
  var cause: (any Error)?

  init(_ code: Code, cause: (any Error)? = nil) {
    self.code = code
    self.cause = cause
  }

  var causes: [any Error] { cause.map { [$0] } ?? [] }
  var category: ErrorCategory { .network }
  var retryability: Retryability { .retryable() }

  var userMessage: String? {
    switch code {
    case .wrongLength: "The file arrived incomplete."
    case .wrongChecksum: "What arrived is not the expected file."
    case .wrongRange: "The server sent another part of the file than was asked for."
    case .brokenOff: "The connection broke off."
    case .connection: "The connection to the server failed."
    }
  }

  var suggestedActions: [String] {
    switch code {
    case .wrongChecksum: ["Check that the checksum belongs to this URL.", "Try again later."]
    default: ["Try again later."]
    }
  }

  /// What the message for a person leaves out; short enough for a line on a terminal.
  var detail: String? {
    switch code {
    case .wrongChecksum(let received, let expected):
      "its SHA-256 begins with \(received.prefix(12)), not \(expected.prefix(12))"
    case .wrongLength, .brokenOff: description
    case .connection: cause.map(Self.text)
    case .wrongRange: nil
    }
  }

  /// An error in words; URL loading's own description is a dump of its dictionary.
  private static func text(_ error: any Error) -> String {
    (error as? URLError)?.localizedDescription ?? "\(error)"
  }

  var description: String {
    switch code {
    case .wrongLength(let received, let expected):
      "\(received) bytes arrived where \(expected) were promised"
    case .wrongChecksum(let received, let expected):
      "the SHA-256 is \(received), not \(expected)"
    case .brokenOff(let received, let expected):
      "after \(received) of \(expected) bytes" + (cause.map { ": \(Self.text($0))" } ?? "")
    case .wrongRange: "the server sent another range than was asked for"
    case .connection: "the connection failed" + (cause.map { ": \(Self.text($0))" } ?? "")
    }
  }
}
