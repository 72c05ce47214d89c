internal import Foundation
internal import ReliabilityExampleSupport

/// One file to download.
struct DownloadItem: Sendable {
  let address: HTTPAddress
  /// The name in the output directory: the last part of the address's path.
  var name: String
  /// SHA-256 in lower-case hexadecimal, when it is known.
  var checksum: String?

  var url: URL { address.url }
}

/// Everything to download, checked before the first byte moves.
struct DownloadPlan: Sendable {
  let items: [DownloadItem]

  /// Checks the addresses.
  ///
  /// - Parameters:
  ///   - urls: The addresses as they were given.
  ///   - checksums: Expected digests by address, valid hexadecimal.
  /// - Throws: `UsageError` with one line that says which address is wrong and why.
  init(urls: [String], checksums: [(url: String, digest: String)] = []) throws(UsageError) {
    var items: [DownloadItem] = []
    var positions: [String: Int] = [:]
    var byName: [String: Int] = [:]
    for text in urls {
      let item = try Self.item(text)
      if let other = byName[item.name] {
        throw UsageError(
          urls[other] == text
            ? "\(text.quotedForDisplay) was given twice; give it once"
            : "\(urls[other].quotedForDisplay) and \(text.quotedForDisplay) have the same file name, "
              + "\(item.name.quotedForDisplay); download them into different directories")
      }
      byName[item.name] = items.count
      positions[text] = items.count
      items.append(item)
    }
    for (url, digest) in checksums {
      guard let position = positions[url] else {
        throw UsageError(
          "--checksum is for \(url.quotedForDisplay), which is not among the URLs; spell it the same"
        )
      }
      if let other = items[position].checksum, other != digest {
        throw UsageError("two different checksums for \(url.quotedForDisplay); give one")
      }
      items[position].checksum = digest
    }
    self.items = items
  }

  /// Checks one address.
  ///
  /// - Throws: `UsageError` with one line that says what is wrong with it.
  static func item(_ text: String) throws(UsageError) -> DownloadItem {
    func wrong(_ why: String) -> UsageError { UsageError("\(text.quotedForDisplay) \(why)") }
    guard let url = URL(string: text, encodingInvalidCharacters: false),
      let parts = URLComponents(url: url, resolvingAgainstBaseURL: false),
      let scheme = parts.scheme?.lowercased()
    else { throw wrong("is not a URL; one looks like https://example.org/file.zip") }
    guard scheme == "http" || scheme == "https" else {
      throw wrong("is not an http or https URL; other schemes are not supported")
    }
    guard let host = parts.host, !host.isEmpty else {
      throw wrong("names no host; a URL looks like https://example.org/file.zip")
    }
    if let port = parts.port, !(1...65_535).contains(port) {
      throw wrong("has an impossible port; it must be from 1 to 65535")
    }
    guard parts.user == nil, parts.password == nil else {
      throw UsageError(
        "the URL for host \(host.quotedForDisplay) carries a user name or password; leave it out")
    }
    let last = parts.percentEncodedPath.split(separator: "/", omittingEmptySubsequences: false).last
    return DownloadItem(
      address: try HTTPAddress(url), name: try fileName(last ?? "", wrong: wrong))
  }

  /// The file name in the last part of a path, decoded; refused unless it stays in the directory it is put in.
  private static func fileName(
    _ encoded: Substring, wrong: (String) -> UsageError
  ) throws(UsageError) -> String {
    guard let name = encoded.removingPercentEncoding else {
      throw wrong("has a file name that is not UTF-8; rename the file on the server")
    }
    return try checked(name, wrong: wrong)
  }

  /// A name that stays in the directory it is put in.
  ///
  /// - Throws: `UsageError` when it does not.
  static func checked(_ name: String) throws(UsageError) -> String {
    try checked(name) { UsageError("the name \(name.quotedForDisplay) \($0)") }
  }

  private static func checked(
    _ name: String, wrong: (String) -> UsageError
  ) throws(UsageError) -> String {
    guard !name.isEmpty else {
      throw wrong("has no file name: its path is empty or ends in /; give the URL of a file")
    }
    guard name != ".", name != "..", !name.contains("/") else {
      throw wrong("has a file name that would leave the output directory; that is refused")
    }
    guard !name.unicodeScalars.contains(where: { $0.value < 32 || $0.value == 127 }) else {
      throw wrong("has a control character in its file name; that is refused")
    }
    guard name.utf8.count <= longestName else {
      throw wrong("has a file name of \(name.utf8.count) bytes; \(longestName) is the most")
    }
    return name
  }

  /// NAME_MAX of every usual file system.
  private static let longestName = 255
}
