public import ReliabilityCore

/// One piece of knowledge about how a tool fails, asked when a child process has failed.
///
///     let rules: [ProcessRule] = [
///       .text("HTTP Error 403", is: .networkError, retryability: .notRetryable),
///       .exitCode(28, of: "curl", is: .processTimeout),
///     ]
///     let supervisor = ProcessSupervisor(rules: rules)
///
/// The first answer counts: first the limits the supervisor itself kept, then rules of yours in order, then what is known of signals and exit
/// codes, then ``standard``.
public struct ProcessRule: Sendable {
  /// What a rule says of a failure.
  public struct Answer: Hashable, Sendable {
    /// What kind of failure it is.
    public var failure: ProcessFailure
    /// Whether trying again can help; `nil` leaves it to the kind.
    public var retryability: Retryability?

    /// Makes an answer.
    public init(_ failure: ProcessFailure, retryability: Retryability? = nil) {
      self.failure = failure
      self.retryability = retryability
    }
  }

  private enum Test {
    case closure(@Sendable (ProcessReport) -> Answer?)
    case text([UInt8], Answer)
  }

  private let test: Test

  /// Makes a rule.
  ///
  /// - Parameter judge: Answers, or returns `nil` to leave the failure to later rules. Must not block.
  public init(_ judge: @escaping @Sendable (ProcessReport) -> Answer?) { test = .closure(judge) }

  private init(_ test: Test) { self.test = test }

  /// The first rule's answer.
  static func answer(_ rules: [ProcessRule], to report: ProcessReport) -> Answer? {
    // Folded once for all rules.
    let texts = [report.errorTail.lowercasedASCII, report.outputTail.lowercasedASCII]
    for rule in rules {
      switch rule.test {
      case .closure(let judge): if let answer = judge(report) { return answer }
      case .text(let needle, let answer):
        if !needle.isEmpty, texts.contains(where: { $0.contains(needle) }) { return answer }
      }
    }
    return nil
  }

  /// A rule for a text in the end of the standard error, or else of the standard output.
  ///
  /// - Parameters:
  ///   - text: What to look for, whatever the case of ASCII letters; an empty text is never found.
  ///   - failure: What kind of failure it means.
  ///   - retryability: Whether trying again can help; `nil` leaves it to the kind.
  public static func text(
    _ text: String, is failure: ProcessFailure, retryability: Retryability? = nil
  ) -> ProcessRule {
    ProcessRule(.text(text.lowercasedASCII, Answer(failure, retryability: retryability)))
  }

  /// A rule for an exit code.
  ///
  /// - Parameters:
  ///   - code: The code.
  ///   - command: The last part of the program's path, or `nil` for any program.
  ///   - failure: What kind of failure it means.
  ///   - retryability: Whether trying again can help; `nil` leaves it to the kind.
  public static func exitCode(
    _ code: Int32, of command: String? = nil, is failure: ProcessFailure,
    retryability: Retryability? = nil
  ) -> ProcessRule {
    ProcessRule { report in
      guard report.exit == .code(code) else { return nil }
      if let command, report.command.split(separator: "/").last.map(String.init) != command {
        return nil
      }
      return Answer(failure, retryability: retryability)
    }
  }

  /// What common tools and the C library say of memory, the network and files.
  public static let standard: [ProcessRule] =
    texts(
      [
        "out of memory", "cannot allocate memory", "std::bad_alloc", "memoryerror",
        "outofmemoryerror", "virtual memory exhausted", "memory exhausted", "allocation failed",
      ], is: .memoryExhaustion, nil)
    + texts(
      [
        "no space left on device", "disk quota exceeded", "read-only file system",
        "permission denied", "file too large", "is a directory", "not a directory",
        "file name too long",
      ], is: .fileSystemError, .notRetryable)
    + texts(
      ["input/output error", "too many open files", "stale file handle"], is: .fileSystemError,
      .retryable())
    + texts(
      [
        "could not resolve", "couldn't resolve", "name resolution", "name or service not known",
        "getaddrinfo", "connection refused", "connection reset", "connection timed out",
        "connection aborted", "network is unreachable", "no route to host", "broken pipe",
        "remote end closed", "failed to connect", "timed out", "ssl error", "tls error",
        "certificate", "http error 5", "http error 429", "too many requests",
        "unable to download webpage", "incompleteread", "server returned 5",
      ], is: .networkError, .retryable())
    + texts(["no such file or directory"], is: .fileSystemError, .notRetryable)

  private static func texts(
    _ texts: [String], is failure: ProcessFailure, _ retryability: Retryability?
  ) -> [ProcessRule] {
    texts.map { text($0, is: failure, retryability: retryability) }
  }
}

extension String {
  /// The text with `A` to `Z` in lower case; anything else as it is.
  var lowercasedASCII: [UInt8] {
    utf8.map { ($0 >= 0x41 && $0 <= 0x5A) ? $0 | 0x20 : $0 }
  }
}

extension [UInt8] {
  /// Whether the other bytes occur in these, one after another.
  func contains(_ other: [UInt8]) -> Bool {
    guard let first = other.first, count >= other.count else { return false }
    for start in 0...(count - other.count) where self[start] == first {
      if self[start..<(start + other.count)].elementsEqual(other) { return true }
    }
    return false
  }
}
