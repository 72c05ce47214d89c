internal import Foundation
internal import Reliability
internal import ReliabilityExampleSupport

/// Where the files go.
enum OutputDirectory {
  /// Makes a directory, with those above it, unless it is there, and tries whether files can be made in it.
  ///
  /// - Throws: ``OutputError``.
  static func prepare(
    _ path: String, option: String = "output"
  ) async throws(OutputError) {
    let files = FileManager.default
    do {
      try files.createDirectory(atPath: path, withIntermediateDirectories: true)
    } catch {
      let isFile = files.fileExists(atPath: path)
      throw OutputError(
        path: path, isFile ? "it is not a directory" : "it can't be made", option: option)
    }
    do {
      // Asked of the directory itself: modes say little to root, and nothing about a disk that is read-only.
      try await AtomicFile(replacing: "\(path)/downloader-probe").discard()
    } catch {
      throw OutputError(
        path: path, error.cause?.number.message ?? "\(error.code)", option: option, cause: error)
    }
    // What downloaders left that were killed. Each proves by a lock that it is alive, so any age will do.
    _ = try? await OrphanSweeper.sweep(
      path, options: OrphanSweeper.Options(minimumAge: .zero))
  }

  /// The path of a directory that only this run uses.
  static func temporaryPath() -> String {
    FileManager.default.temporaryDirectory
      .appendingPathComponent("downloader-demo-\(UUID().uuidString)").path
  }

  /// Removes a directory and what is in it.
  static func remove(_ path: String) {
    try? FileManager.default.removeItem(atPath: path)
  }
}

/// A directory that files can't be put into.
struct OutputError: ClassifiedError, ErrorWithCauses, CustomStringConvertible {
  let path: String
  let reason: String
  /// The option that named it.
  let option: String
  let cause: StoreError?

  init(path: String, _ reason: String, option: String = "output", cause: StoreError? = nil) {
    self.path = path
    self.option = option
    self.reason = reason
    self.cause = cause
  }

  var causes: [any Error] { cause.map { [$0] } ?? [] }
  var category: ErrorCategory { .fileSystem }
  var retryability: Retryability { .notRetryable }
  var userMessage: String? { "\(description)." }
  var suggestedActions: [String] { ["Choose another one with --\(option)."] }

  var description: String {
    "no file can be made in the \(option) directory \(path.quotedForDisplay): \(reason)"
  }
}

/// The file of `--from`: one URL a line; empty lines and lines that begin with `#` don't count.
enum URLList {
  static func read(_ path: String) throws(UsageError) -> [String] {
    // Read to its end as a stream: it may be a pipe, as in `--from <(…)`.
    let file = path == "-" ? FileHandle.standardInput : FileHandle(forReadingAtPath: path)
    let bytes = try? file?.readToEnd() ?? Data()
    let text = file == nil ? nil : bytes.flatMap { String(data: $0, encoding: .utf8) }
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
