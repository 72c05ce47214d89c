import ErrorContext
import Foundation
import Testing

@Suite struct ErrorReportTests {
  @Test("A report names everything the mission lists, beside the problem document's members")
  func missionMembers() throws {
    let inner = Classified(
      category: .timeout, retryability: .retryable(after: .seconds(60)),
      userMessage: "It took too long.",
      suggestedActions: ["Allow more time."])
    let process = ErrorReport.ProcessDetails(
      arguments: ["tool", "--password", "x"], exitCode: 1, output: "out", errorOutput: "err",
      resources: ResourceSample(
        at: WallTime(secondsSince1970: 0), cpuPercent: 45.2, memoryMegabytes: 2048.5,
        memoryPercent: 12.8,
        diskBytesRead: 1, diskBytesWritten: 2),
      duration: .milliseconds(1_800_500))
    let report = ErrorReport(inner, options: .fixed, status: 504, process: process)
    let json = try members(report.json())
    #expect(json["type"] as? String == "urn:reliability:error:timeout")
    #expect(json["title"] as? String == "Time limit reached")
    #expect(json["status"] as? Int == 504)
    #expect(json["category"] as? String == "timeout")
    #expect(json["user_message"] as? String == "It took too long.")
    #expect(json["user_friendly_message"] as? String == "It took too long.")
    #expect(json["suggested_actions"] as? [String] == ["Allow more time."])
    #expect(json["retryable"] as? Bool == true)
    #expect(json["is_retryable"] as? Bool == true)
    #expect(json["retry_after_seconds"] as? Int == 60)
    #expect(json["retry_delay_seconds"] as? Int == 60)
    #expect(json["error_type"] as? String == "ErrorContextTests.Classified")
    let reference = try #require(json["support_reference"] as? String)
    #expect(reference.wholeMatch(of: /DL-20250115-143022-[0-9a-f]{8}/) != nil)
    #expect(json["reference"] as? String == reference)
    let id = try #require(json["error_id"] as? String)
    #expect(UUID(uuidString: id) != nil)
    #expect(id.wholeMatch(of: /.{14}4.{4}[89ab].*/) != nil)
    #expect(json["instance"] as? String == "urn:uuid:\(id)")
    let details = try #require(json["technical_details"] as? [String: Any])
    #expect(details["process_exit_code"] as? Int == 1)
    #expect(details["stdout_summary"] as? String == "out")
    #expect(details["stderr_summary"] as? String == "err")
    #expect(details["execution_duration"] as? Double == 1800.5)
    #expect(details["process_arguments"] as? [String] == ["tool", "--password", "<private>"])
    let usage = try #require(details["resource_usage_at_failure"] as? [String: Any])
    #expect(
      Set(usage.keys) == [
        "timestamp", "cpu_percent", "memory_mb", "memory_percent", "disk_io_read", "disk_io_write",
      ])
  }

  @Test("Without a process the technical details are there and null")
  func emptyTechnicalDetails() throws {
    let details = try #require(
      try members(ErrorReport(Plain()).json())["technical_details"] as? [String: Any])
    for key in [
      "process_exit_code", "stdout_summary", "stderr_summary", "resource_usage_at_failure",
    ] {
      #expect(details[key] is NSNull)
    }
  }

  @Test("Contexts, attempts and remarks are part of the report, in order and with their source")
  func context() throws {
    let line: UInt = #line
    do {
      try withErrorContext("download", ["video_id": .public("42"), "who": "jane"]) {
        breadcrumb("connected")
        AttemptJournal.record(
          AttemptRecord(
            number: 1, failure: NetworkError("reset"), category: .network, elapsed: .seconds(2),
            delay: .seconds(1), method: "range"))
        throw NetworkError("reset again", cause: Plain(number: 9))
      }
    } catch {
      let report = ErrorReport(error)
      #expect(report.errorType == "ErrorContext.NetworkError")
      #expect(report.detail == "reset again")
      #expect(report.context.map(\.name) == ["download"])
      #expect(report.context[0].source == "ErrorContextTests/ErrorReportTests.swift:\(line + 2)")
      #expect(report.context[0].values.map(\.text) == ["42", "<private>"])
      #expect(report.attempts.map(\.error) == ["ErrorContext.NetworkError: reset"])
      #expect(report.timeline.map(\.event) == [.breadcrumb, .attemptFailed])
      #expect(report.causes.map(\.type) == ["ErrorContextTests.Plain"])
      #expect(report.text().contains("Attempt 1 by range failed after 2 s"))
      #expect(report.text().contains("In: download [video_id=42 who=<private>]"))
    }
  }

  @Test("A report made inside a context has the contexts the error has not left yet")
  func insideContext() {
    withErrorContext("outer") {
      do {
        try withErrorContext("inner") { throw Plain() }
      } catch {
        #expect(ErrorReport(error).context.map(\.name) == ["inner", "outer"])
        #expect(ErrorReport(Plain()).context.map(\.name) == ["outer"])
      }
    }
  }

  @Test(
    "A download failure carries title, address, attempts with method, last error, temporary path and recovery"
  )
  func download() throws {
    let attempts = (1...30).map {
      AttemptRecord(
        number: $0, error: "reset \($0)", category: .network, at: .now, elapsed: .seconds(1),
        method: "720p")
    }
    let details = ErrorReport.DownloadDetails(
      title: "A film", url: "https://me:pw@host/film.mp4?sig=abc", attempts: attempts,
      temporaryPath: "/tmp/film.part", recoveryTaken: "kept 3 MB", recommendedQuality: "480p")
    let report = ErrorReport(Classified(category: .memoryExhaustion), download: details)
    let json = try #require(try members(report.json())["download"] as? [String: Any])
    #expect(json["title"] as? String == "A film")
    #expect(json["url"] as? String == "https://<private>@host/film.mp4?<private>")
    #expect((json["attempts"] as? [[String: Any]])?.count == 10)
    #expect((json["attempts"] as? [[String: Any]])?.first?["method"] as? String == "720p")
    #expect(json["last_error"] as? String == "reset 30")
    #expect(json["temporary_path"] as? String == "/tmp/film.part")
    #expect(json["recovery_taken"] as? String == "kept 3 MB")
    #expect(report.suggestedActions.first == "Try again with quality 480p.")
    #expect(
      ErrorReport(Plain(), download: details).suggestedActions.first
        != "Try again with quality 480p.")
  }

  @Test(
    "Only the last 2,000 characters of an output are kept, secrets and control characters taken out"
  )
  func outputTail() {
    let output = String(repeating: "a", count: 50_000) + "\u{1B}[31m token=abc end"
    let tail = ErrorReport.ProcessDetails(output: output).outputTail ?? ""
    #expect(tail.count == 2000)
    #expect(tail.hasSuffix("\u{FFFD}[31m token=<private> end"))
    let wide =
      ErrorReport.ProcessDetails(errorOutput: String(repeating: "👩‍👩‍👧‍👦", count: 5000)).errorTail ?? ""
    #expect(wide.utf8.count <= 8000 && wide.count > 300)
  }

  @Test("The prefix of the reference is configurable and cleaned")
  func referencePrefix() {
    var options = ErrorReport.Options.fixed
    options.referencePrefix = "CR-awl er/éx0123456789012345"
    #expect(
      ErrorReport(Plain(), options: options).reference.hasPrefix(
        "CRawlerx01234567-20250115-143022-"))
    options.referencePrefix = "--"
    #expect(ErrorReport(Plain(), options: options).reference.hasPrefix("ER-20250115-"))
  }

  @Test("With fixed time and chance two reports of one error are equal")
  func deterministic() {
    #expect(ErrorReport(Plain(), options: .fixed) == ErrorReport(Plain(), options: .fixed))
    #expect(ErrorReport(Plain()).errorID != ErrorReport(Plain()).errorID)
  }

  @Test("The mission's failure types classify themselves")
  func failureTypes() {
    #expect(ErrorReport(ValidationError("no", field: "port")).category == .validation)
    #expect(ErrorReport(ValidationError("no", field: "port")).detail == "port: no")
    #expect(ErrorReport(NetworkError("down", retryAfter: .seconds(5))).retryAfter == .seconds(5))
    #expect(!ErrorReport(TaskNotFoundError("t1")).isRetryable)
    #expect(ErrorReport(RetryableError("soon")).isRetryable)
    #expect(ErrorReport(TaskNotFoundError("t1")).userMessage.contains("t1"))
  }

  @Test("The type of an error that is private or local is named without the place in the binary")
  func privateTypes() {
    struct Local: Error {}
    #expect(ErrorReport(Hidden()).errorType == "ErrorContextTests.Hidden")
    let local = ErrorReport(Local()).errorType
    #expect(!local.contains("(") && local.hasSuffix("Local"))
  }

  @Test("The options' names of secrets count in every part of a report")
  func additionalNamesEverywhere() throws {
    var options = ErrorReport.Options.fixed
    options.redaction = Redaction(additionalNames: ["iban"])
    let secret = "iban=DE02120300000000202051"
    let attempt = AttemptRecord(
      number: 1, error: secret, category: .network, at: .now, elapsed: nil, method: secret)
    withErrorContext(secret, ["note": .public(secret)]) {
      breadcrumb(secret)
      AttemptJournal.record(attempt)
      let report = ErrorReport(
        Described(description: secret), options: options,
        timeline: [.init(.start, at: .now, detail: secret)],
        process: .init(
          arguments: [secret, "--iban", "DE02120300000000202051"], output: secret,
          errorOutput: secret),
        download: .init(
          title: secret, url: secret, attempts: [attempt], lastError: secret,
          temporaryPath: secret, recoveryTaken: secret))
      let json = String(decoding: report.json(), as: UTF8.self)
      #expect(!json.contains("DE0212"), "\(json)")
      #expect(json.contains("iban=<private>"))
    }
  }

  @Test("The rest of a secret whose name lies before the tail of an output is not shown")
  func tailBeginsAtAWord() {
    let output =
      "token=" + String(repeating: "s", count: 7000) + " Cookie: "
      + String(repeating: "c", count: 6000) + "\nfailed"
    #expect(ErrorReport.ProcessDetails(output: output).outputTail?.contains("s") == false)
  }

  @Test("The control characters from U+0080 on don't reach a terminal either")
  func secondControlSet() {
    #expect(Breadcrumb("a\u{9B}31mb\u{85}é\u{A0}").message == "a\u{FFFD}31mb\u{FFFD}é\u{A0}")
    #expect(
      ErrorReport(Described(description: "\u{200B}\u{2060}")).errorMessage.contains("without"))
  }
}

private struct Hidden: Error {}
