import Foundation

/// The files of this package, as the tests of the house read them.
enum SourceTree {
  static let root = URL(filePath: #filePath)
    .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

  static func text(_ path: String) throws -> String {
    try String(contentsOf: root.appending(path: path), encoding: .utf8)
  }

  /// The modules below `Sources`, by name.
  static func modules() throws -> [String] {
    try FileManager.default.contentsOfDirectory(
      at: root.appending(path: "Sources"), includingPropertiesForKeys: nil
    ).map(\.lastPathComponent).sorted()
  }

  /// The Swift files of a folder, with their paths below the root.
  static func swiftFiles(_ folder: String) throws -> [(path: String, text: String)] {
    let directory = root.appending(path: folder)
    return try FileManager.default.subpathsOfDirectory(
      atPath: directory.path(percentEncoded: false)
    )
    .filter { $0.hasSuffix(".swift") }.sorted()
    .map { ("\(folder)/\($0)", try text("\(folder)/\($0)")) }
  }

  /// The modules that a Swift file imports.
  static func imports(_ text: String) -> Set<String> {
    let pattern =
      /^\s*(?:@\w+ )*(?:public |package |internal |private )?import (?:struct |class |func |enum )?(\w+)/
      .anchorsMatchLineEndings()
    return Set(text.matches(of: pattern).map { String($0.1) })
  }
}
