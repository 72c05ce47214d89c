internal import Foundation
internal import FoundationNetworking
internal import Reliability

/// What to tell a person about an error, on one line.
enum FailureText {
  /// What went wrong, in a sentence.
  static func reason(of error: any Error) -> String {
    let own = (error as? any ClassifiedError)?.userMessage
    let sentence = own ?? ErrorReport(error).userMessage
    guard let detail = detail(of: error), sentence.hasSuffix(".") else { return sentence }
    return "\(sentence.dropLast()) (\(detail))."
  }

  /// What went wrong, and what to do about it.
  static func line(about error: any Error) -> String {
    let actions = ErrorReport(error).suggestedActions.prefix(1)
    return ([reason(of: error)] + actions).joined(separator: " ").replacing("\n", with: " ")
  }

  /// What the sentence for everyone leaves out and helps to find the cause.
  private static func detail(of error: any Error) -> String? {
    error.underlying(as: DownloadError.self)?.detail
      ?? error.underlying(as: URLError.self)?.localizedDescription
  }
}
