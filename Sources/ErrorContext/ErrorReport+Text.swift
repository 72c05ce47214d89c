extension ErrorReport {
  /// The report for a person, in lines of plain text.
  ///
  ///     Network problem (network), reference DL-20250115-143022-a1b2c3d4
  ///       The connection was reset.
  ///       What to do: Check the network connection. Try again later. (trying again can help, after 5 s)
  ///       Error: Crawler.FetchError
  ///       In: download [video_id=42] (Crawler/Fetch.swift:12)
  ///
  /// - Parameter limit: The most bytes, 16,384 by default; a longer text is cut and ends in `…`.
  /// - Complexity: O(size of the report).
  public func text(limit: Int = 16_384) -> String {
    var text = BoundedText(limit: limit)
    text.write("\(title) (\(category)), reference \(reference)\n")
    text.line("  ", detail)
    if userMessage != detail { text.line("  ", userMessage) }
    text.line("  What to do: ", advice)
    text.line("  Error: ", errorType + (errorMessage == detail ? "" : ": " + errorMessage))
    for cause in causes {
      text.line("  Caused by: ", "\(cause.type): \(cause.message) (\(cause.category))")
    }
    for frame in context { text.line("  In: ", frame.description) }
    for attempt in attempts { text.line("  ", attempt.description) }
    if attemptsDropped > 0 { text.line("  ", "\(attemptsDropped) attempts in the middle left out") }
    if let download { text.write(download) }
    if let process { text.write(process) }
    if !timeline.isEmpty { text.write("  Timeline:\n") }
    for entry in timeline {
      let detail = entry.detail.map { " \($0)" } ?? ""
      text.line("    ", "\(Timestamp.string(entry.at)) \(entry.event.rawValue)\(detail)")
    }
    return text.text
  }

  private var advice: String {
    let again =
      if !isRetryable {
        "(trying again without a change cannot help)"
      } else if let retryAfter {
        "(trying again can help, after \(retryAfter.seconds.shortDecimal) s)"
      } else {
        "(trying again can help)"
      }
    return (suggestedActions + [again]).joined(separator: " ")
  }
}

extension ErrorReport: CustomStringConvertible {
  /// Title, detail and reference in one line.
  public var description: String { "\(title): \(detail) [\(reference)]" }
}

extension ErrorReport.Frame: CustomStringConvertible {
  /// Name, values and source in one line.
  public var description: String {
    if values.isEmpty { return "\(name) (\(source))" }
    return "\(name) [\(values.map { "\($0.key)=\($0.text)" }.joined(separator: " "))] (\(source))"
  }
}

extension AttemptRecord: CustomStringConvertible {
  /// Number, duration, error and wait in one line.
  public var description: String {
    let how = method.map { " by \($0)" } ?? ""
    let wait = delay.map { ", then waited \($0.seconds.shortDecimal) s" } ?? ""
    let time = elapsed.map { " after \($0.seconds.shortDecimal) s" } ?? ""
    return "Attempt \(number)\(how) failed\(time): \(error)\(wait)"
  }
}

extension BoundedText {
  /// Writes a line; further lines of the text are indented alike.
  fileprivate mutating func line(_ label: String, _ text: String) {
    write(label)
    var rest = text[...]
    while let end = rest.utf8.firstIndex(of: 0x0A) {
      write(String(rest[..<end]))
      write("\n    ")
      rest = rest[rest.utf8.index(after: end)...]
    }
    write(String(rest))
    write("\n")
  }

  fileprivate mutating func write(_ download: ErrorReport.DownloadDetails) {
    line("  Download: ", "\(download.title) from \(download.url)")
    for attempt in download.attempts { line("    ", attempt.description) }
    if let lastError = download.lastError { line("    Last error: ", lastError) }
    if let path = download.temporaryPath { line("    Temporary file: ", path) }
    if let recovery = download.recoveryTaken { line("    Recovery: ", recovery) }
  }

  fileprivate mutating func write(_ process: ErrorReport.ProcessDetails) {
    if !process.arguments.isEmpty {
      line("  Process: ", process.arguments.joined(separator: " "))
    }
    if let exitCode = process.exitCode { line("  Exit code: ", String(exitCode)) }
    if let signal = process.signal { line("  Ended by signal: ", String(signal)) }
    if let duration = process.duration { line("  Ran for: ", duration.seconds.shortDecimal + " s") }
    if let memory = process.resources?.memoryMegabytes {
      line("  Memory at failure: ", memory.shortDecimal + " MB")
    }
    if let output = process.outputTail, !output.isEmpty { line("  Last output: ", output) }
    if let output = process.errorTail, !output.isEmpty { line("  Last error output: ", output) }
  }
}

extension Double {
  /// The number with at most three decimals, without trailing zeros.
  fileprivate var shortDecimal: String {
    let rounded = (self * 1000).rounded() / 1000
    guard rounded.magnitude < 1e15 else { return description }
    return rounded == rounded.rounded() ? String(Int64(rounded)) : String(rounded)
  }
}
