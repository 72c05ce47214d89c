internal import Foundation
internal import Reliability
internal import ReliabilityExampleSupport

/// The secret that clients must send as `Authorization: Bearer …`.
struct AccessToken: Sendable {
  private let digest: [UInt8]

  /// - Throws: `UsageError` when the file can't be read or holds too little.
  init(file: String) throws(UsageError) {
    guard let data = FileManager.default.contents(atPath: file),
      let text = String(data: data, encoding: .utf8)
    else { throw UsageError("--token-file can't read \(file.quotedForDisplay)") }
    try self.init(text.trimmingCharacters(in: .whitespacesAndNewlines))
  }

  /// - Throws: `UsageError` when it is too short to be a secret.
  init(_ token: String) throws(UsageError) {
    guard token.utf8.count >= 16 else {
      throw UsageError("the token of --token-file must have 16 characters or more")
    }
    digest = Self.digest(of: token)
  }

  /// Whether a request carries it.
  ///
  /// Takes the same time wherever the first difference is: digests are compared, and all of them.
  func isIn(_ request: HTTPRequest) -> Bool {
    guard let value = request.header("Authorization"), value.lowercased().hasPrefix("bearer ")
    else { return false }
    let other = Self.digest(of: String(value.dropFirst(7)))
    var difference: UInt8 = 0
    for (left, right) in zip(digest, other) { difference |= left ^ right }
    return difference == 0
  }

  private static func digest(of text: String) -> [UInt8] {
    var digest = SHA256()
    digest.update(Array(text.utf8))
    return digest.bytes
  }
}
