internal import Foundation
internal import ReliabilityCore
internal import ReliabilityExampleSupport

/// Where the files go; made when it is not there yet.
struct OutputDirectory {
  let path: String
  private var isTemporary = false

  /// Uses a directory, or makes it with those above it.
  ///
  /// - Throws: ``OutputError`` when it can't be made or is not a directory.
  init(_ path: String) throws(OutputError) {
    self.path = path
    do {
      try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    } catch {
      throw OutputError(path: path)
    }
    var isDirectory: ObjCBool = false
    guard unsafe FileManager.default.fileExists(atPath: path, isDirectory: &isDirectory),
      isDirectory.boolValue
    else { throw OutputError(path: path) }
  }

  /// A fresh directory that only this run uses.
  static func temporary() throws(OutputError) -> OutputDirectory {
    let name = "downloader-demo-\(UUID().uuidString.prefix(8))"
    var directory = try OutputDirectory(
      FileManager.default.temporaryDirectory.appendingPathComponent(name).path)
    directory.isTemporary = true
    return directory
  }

  /// Removes the directory and what is in it, if it was made for this run only.
  func removeIfTemporary() {
    if isTemporary { try? FileManager.default.removeItem(atPath: path) }
  }
}

/// A directory that files can't be put into.
struct OutputError: ClassifiedError {
  let path: String

  var category: ErrorCategory { .fileSystem }
  var retryability: Retryability { .notRetryable }
  var userMessage: String? {
    "The output directory \(path.quotedForDisplay) can't be used: it is not a directory or can't be made."
  }
  var suggestedActions: [String] { ["Choose another one with --output."] }
}

/// The file of `--from`: one URL a line; empty lines and lines that begin with `#` don't count.
enum URLList {
  static func read(_ path: String) throws(UsageError) -> [String] {
    let text: String?
    if path == "-" {
      let bytes = try? FileHandle.standardInput.readToEnd()
      text = String(data: bytes ?? Data(), encoding: .utf8)
    } else {
      text = try? String(contentsOfFile: path, encoding: .utf8)
    }
    guard let text else {
      throw UsageError(
        "--from can't read \(path.quotedForDisplay); give a text file with one URL a line")
    }
    return parse(text)
  }

  static func parse(_ text: String) -> [String] {
    text.split(whereSeparator: \.isNewline)
      .map { $0.trimmingCharacters(in: .whitespaces) }
      .filter { !$0.isEmpty && !$0.hasPrefix("#") }
  }
}
