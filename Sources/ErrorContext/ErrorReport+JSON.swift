extension ErrorReport {
  /// The report as a problem document (RFC 9457) in UTF-8, non-ASCII characters unescaped.
  ///
  /// A document that would be longer than the limit is cut: the members stand in order of importance, the first text that
  /// doesn't fit ends in `…`, what follows is left out, and a last member `"truncated": true` says so. It is valid JSON at
  /// any limit.
  ///
  /// - Parameters:
  ///   - isPretty: One member a line, indented by two spaces; else everything on one line.
  ///   - limit: The most bytes, ``defaultJSONLimit`` by default; below 1,024 it counts as 1,024.
  /// - Complexity: O(size of the report).
  public func json(pretty isPretty: Bool = false, limit: Int = defaultJSONLimit) -> [UInt8] {
    var writer = JSONWriter(
      limit: max(limit, 1024), style: isPretty ? .pretty : .compact, truncationMember: "truncated",
      expected: 1024)
    writer.object(write)
    return writer.finish()
  }
}

extension ErrorReport: ReportPart {
  func write(to sink: inout some MemberSink) {
    sink.member("type", type)
    sink.member("title", title)
    if let status { sink.member("status", Int64(status)) }
    sink.member("detail", detail)
    sink.member("instance", "urn:uuid:" + errorID)
    sink.member("category", category.rawValue)
    sink.member("user_message", userMessage)
    sink.strings("suggested_actions", suggestedActions)
    sink.member("retryable", isRetryable)
    sink.seconds("retry_after_seconds", retryAfter)
    sink.member("reference", reference)
    sink.member("fingerprint", fingerprint)
    sink.time("occurred_at", occurredAt)
    sink.member("error_id", errorID)
    sink.member("error_type", errorType)
    sink.member("error_message", errorMessage)
    sink.member("user_friendly_message", userMessage)
    sink.member("is_retryable", isRetryable)
    sink.required("retry_delay_seconds", seconds: retryAfter)
    sink.member("support_reference", reference)
    sink.parts("causes", causes)
    sink.parts("context", context)
    sink.parts("attempts", attempts)
    sink.member("attempts_dropped", attemptsDropped > 0 ? Int64(attemptsDropped) : nil)
    sink.part("download", download)
    sink.part("technical_details", process ?? ProcessDetails())
    sink.parts("timeline", timeline)
  }

  /// Writes the same members as ``json(pretty:limit:)``; 512 KiB at most through any encoder that escapes no more than
  /// JSON requires.
  public func encode(to encoder: any Encoder) throws { try EncodingSink.encode(self, to: encoder) }

  /// Reads a report, also a truncated one; unknown members are ignored.
  ///
  /// Texts are clipped again, so that a report from elsewhere is no larger than one made here.
  public init(from decoder: any Decoder) throws {
    let reader = try MemberReader(decoder)
    func text(_ name: String, limit: Int, orElse other: String) throws -> String {
      let found = try reader.text(name, limit: limit)
      return found.flatMap { ReportText.isBlank($0) ? nil : $0 } ?? other
    }
    category = try reader.category("category")
    let standard = CategoryText(category)
    type = try text("type", limit: 512, orElse: "about:blank")
    title = try text("title", limit: 256, orElse: standard.title)
    status = try reader.optional("status")
    detail = try text("detail", limit: 4096, orElse: standard.userMessage)
    userMessage = try text("user_message", limit: 1024, orElse: standard.userMessage)
    suggestedActions = try reader.texts("suggested_actions", count: 8, limit: 256)
    isRetryable = try reader.optional("retryable") ?? false
    retryAfter = try reader.seconds("retry_after_seconds")
    reference = try text("reference", limit: 64, orElse: "")
    fingerprint = try text("fingerprint", limit: 32, orElse: "")
    occurredAt = try reader.time("occurred_at")
    errorID = try text("error_id", limit: 64, orElse: "")
    errorType = try text("error_type", limit: 256, orElse: "unknown")
    errorMessage = try text("error_message", limit: 4096, orElse: detail)
    causes = Array(try reader.list("causes").prefix(8))
    context = Array(try reader.list("context").prefix(32))
    attempts = Array(try reader.list("attempts").prefix(10))
    attemptsDropped = try reader.optional("attempts_dropped") ?? 0
    timeline = Self.clipped(try reader.list("timeline"))
    download = try reader.optional("download")
    let process: ProcessDetails? = try reader.optional("technical_details")
    self.process = process == ProcessDetails() ? nil : process
  }
}
