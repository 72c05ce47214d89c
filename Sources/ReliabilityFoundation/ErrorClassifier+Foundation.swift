public import ErrorContext
internal import Foundation

extension ErrorClassifier {
  /// What Foundation's errors mean: those of URL loading, POSIX and Cocoa, by domain and code.
  ///
  /// It needs no FoundationNetworking: a `URLError` is known by its domain, wherever it comes from. The underlying errors
  /// of an `NSError` become causes.
  public static var foundationRules: [Rule] {
    [
      Rule("Foundation") { FoundationFailure($0)?.classification }
        .findingCauses { FoundationFailure($0)?.causes ?? [] }
        .describing { FoundationFailure($0)?.message }
    ]
  }

  /// The built-in rules and Foundation's, independent of what is installed.
  ///
  ///     var options = ErrorReport.Options()
  ///     options.classifier = .foundation
  public static let foundation = ErrorClassifier(foundationRules)

  /// Teaches ``ErrorContext/ErrorClassifier/default`` about Foundation's errors.
  ///
  /// Call it once where the program starts; `retry`, reports and fallbacks know them from then on. Calling it again, from
  /// any thread, changes nothing. It isn't done for you, because merely linking a module must not change how another
  /// part of the program behaves.
  ///
  ///     @main struct Program {
  ///       static func main() async throws {
  ///         ErrorClassifier.installFoundationRules()
  ///       }
  ///     }
  public static func installFoundationRules() {
    install(foundationRules)
  }
}

/// An error of one of Foundation's domains.
struct FoundationFailure {
  let domain: Domain
  let code: Int
  let causes: [any Error]
  private let userInfo: [String: Any]
  private let error: NSError

  enum Domain: String {
    case url = "NSURLErrorDomain"
    case network = "kCFErrorDomainCFNetwork"
    case posix = "NSPOSIXErrorDomain"
    case cocoa = "NSCocoaErrorDomain"
  }

  init?(_ error: any Error) {
    let bridged = error as NSError
    guard let known = Domain(rawValue: bridged.domain) else { return nil }
    self.domain = known
    code = bridged.code
    userInfo = bridged.userInfo
    self.error = bridged
    var causes: [any Error] = []
    if let underlying = userInfo[NSUnderlyingErrorKey] as? any Error { causes.append(underlying) }
    causes += userInfo["NSMultipleUnderlyingErrorsKey"] as? [any Error] ?? []
    self.causes = causes
  }

  var classification: Classification? {
    switch domain {
    case .url where code == -1: Classification(unknownURLError: error.localizedDescription)
    case .url, .network: Classification(urlErrorCode: code)
    case .posix: Classification(errno: code)
    case .cocoa: Classification(cocoaErrorCode: code, underlying: causes)
    }
  }

  /// The localized description, domain and code, and the URL that failed.
  ///
  /// Foundation traps when it describes a POSIX error whose number no `Int32` holds; such an error keeps its domain and
  /// code.
  var message: String {
    let isDescribable = domain != .posix || Int32(exactly: code) != nil
    var text = isDescribable ? error.localizedDescription : "Unknown error"
    let mark = "\(domain.rawValue) \(code)"
    if !text.contains(mark) { text += " (\(mark))" }
    let url =
      userInfo["NSErrorFailingURLStringKey"] as? String
      ?? (userInfo["NSErrorFailingURLKey"] as? URL)?.absoluteString
    if let url { text += ", URL \(url)" }
    if let path = userInfo[NSFilePathErrorKey] as? String, !text.contains(path) {
      text += ", file \(path)"
    }
    return text
  }
}
