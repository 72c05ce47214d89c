extension ErrorReport.Cause: ReportPart {
  func write(to sink: inout some MemberSink) {
    sink.member("type", type)
    sink.member("message", message)
    sink.member("category", category.rawValue)
  }

  /// Writes `type`, `message` and `category`.
  public func encode(to encoder: any Encoder) throws { try EncodingSink.encode(self, to: encoder) }

  /// Reads what ``encode(to:)`` writes.
  public init(from decoder: any Decoder) throws {
    let reader = try MemberReader(decoder)
    self.init(
      type: try reader.value("type"), message: try reader.value("message"),
      category: try reader.category("category"))
  }
}

extension ErrorReport.Frame.Value: ReportPart {
  func write(to sink: inout some MemberSink) {
    sink.member("key", key)
    sink.member("value", text)
  }

  /// Writes `key` and `value`.
  public func encode(to encoder: any Encoder) throws { try EncodingSink.encode(self, to: encoder) }

  /// Reads what ``encode(to:)`` writes.
  public init(from decoder: any Decoder) throws {
    let reader = try MemberReader(decoder)
    key = ReportText.printable(try reader.value("key"), limit: 64)
    text = ReportText.printable(try reader.value("value"), limit: 256)
  }
}

extension ErrorReport.Frame: ReportPart {
  func write(to sink: inout some MemberSink) {
    sink.member("name", name)
    sink.member("source", source)
    sink.parts("values", values)
  }

  /// Writes `name`, `source` and `values`.
  public func encode(to encoder: any Encoder) throws { try EncodingSink.encode(self, to: encoder) }

  /// Reads what ``encode(to:)`` writes.
  public init(from decoder: any Decoder) throws {
    let reader = try MemberReader(decoder)
    name = ReportText.printable(try reader.value("name"), limit: 128)
    source = ReportText.printable(try reader.value("source"), limit: 256)
    values = Array(try reader.list("values").prefix(16))
  }
}

extension ErrorReport.TimelineEntry: ReportPart {
  func write(to sink: inout some MemberSink) {
    sink.time("at", at)
    sink.member("event", event.rawValue)
    sink.member("detail", detail)
  }

  /// Writes `at`, `event` and `detail`.
  public func encode(to encoder: any Encoder) throws { try EncodingSink.encode(self, to: encoder) }

  /// Reads what ``encode(to:)`` writes.
  public init(from decoder: any Decoder) throws {
    let reader = try MemberReader(decoder)
    at = try reader.time("at")
    event = Event(rawValue: try reader.value("event"))
    detail = try reader.text("detail", limit: 256)
  }
}

extension ErrorReport.ProcessDetails: ReportPart {
  func write(to sink: inout some MemberSink) {
    if !arguments.isEmpty { sink.strings("process_arguments", arguments) }
    if let exitCode {
      sink.member("process_exit_code", Int64(exitCode))
    } else {
      sink.null("process_exit_code")
    }
    if let signal { sink.member("process_signal", Int64(signal)) }
    if outputTail == nil {
      sink.null("stdout_summary")
    } else {
      sink.member("stdout_summary", outputTail)
    }
    if errorTail == nil {
      sink.null("stderr_summary")
    } else {
      sink.member("stderr_summary", errorTail)
    }
    if resources == nil {
      sink.null("resource_usage_at_failure")
    } else {
      sink.part("resource_usage_at_failure", resources)
    }
    sink.required("execution_duration", seconds: duration)
  }

  /// Writes the members of `technical_details`; those that are not known are `null`.
  public func encode(to encoder: any Encoder) throws { try EncodingSink.encode(self, to: encoder) }

  /// Reads what ``encode(to:)`` writes.
  public init(from decoder: any Decoder) throws {
    let reader = try MemberReader(decoder)
    arguments = try reader.texts("process_arguments", count: 64, limit: 256)
    exitCode = try reader.optional("process_exit_code")
    signal = try reader.optional("process_signal")
    outputTail = try reader.text("stdout_summary", limit: 8000)
    errorTail = try reader.text("stderr_summary", limit: 8000)
    resources = try reader.optional("resource_usage_at_failure")
    duration = try reader.seconds("execution_duration")
  }
}

extension ResourceSample: ReportPart {
  func write(to sink: inout some MemberSink) {
    sink.time("timestamp", at)
    sink.member("cpu_percent", cpuPercent)
    sink.member("memory_mb", memoryMegabytes)
    sink.member("memory_percent", memoryPercent)
    sink.member("disk_io_read", diskBytesRead)
    sink.member("disk_io_write", diskBytesWritten)
  }

  /// Writes `timestamp`, `cpu_percent`, `memory_mb`, `memory_percent`, `disk_io_read` and `disk_io_write`.
  public func encode(to encoder: any Encoder) throws { try EncodingSink.encode(self, to: encoder) }

  /// Reads what ``encode(to:)`` writes.
  public init(from decoder: any Decoder) throws {
    let reader = try MemberReader(decoder)
    self.init(
      at: try reader.time("timestamp"), cpuPercent: try reader.optional("cpu_percent"),
      memoryMegabytes: try reader.optional("memory_mb"),
      memoryPercent: try reader.optional("memory_percent"),
      diskBytesRead: try reader.optional("disk_io_read"),
      diskBytesWritten: try reader.optional("disk_io_write"))
  }
}

extension ErrorReport.DownloadDetails: ReportPart {
  func write(to sink: inout some MemberSink) {
    sink.member("title", title)
    sink.member("url", url)
    sink.parts("attempts", attempts)
    sink.member("last_error", lastError)
    sink.member("temporary_path", temporaryPath)
    sink.member("recovery_taken", recoveryTaken)
    sink.member("recommended_quality", recommendedQuality)
  }

  /// Writes the members of `download`.
  public func encode(to encoder: any Encoder) throws { try EncodingSink.encode(self, to: encoder) }

  /// Reads what ``encode(to:)`` writes.
  public init(from decoder: any Decoder) throws {
    let reader = try MemberReader(decoder)
    title = try reader.text("title", limit: 256) ?? ""
    url = try reader.text("url", limit: 1024) ?? ""
    attempts = Array(try reader.list("attempts").prefix(10))
    lastError = try reader.text("last_error", limit: 512)
    temporaryPath = try reader.text("temporary_path", limit: 1024)
    recoveryTaken = try reader.text("recovery_taken", limit: 256)
    recommendedQuality = try reader.text("recommended_quality", limit: 32)
  }
}

extension AttemptRecord: ReportPart {
  func write(to sink: inout some MemberSink) {
    sink.member("number", Int64(number))
    sink.member("error", error)
    sink.member("category", category.rawValue)
    sink.time("at", at)
    sink.seconds("elapsed_seconds", elapsed)
    sink.seconds("delay_seconds", delay)
    sink.member("method", method)
  }

  /// Writes `number`, `error`, `category`, `at`, `elapsed_seconds`, `delay_seconds` and `method`.
  public func encode(to encoder: any Encoder) throws { try EncodingSink.encode(self, to: encoder) }

  /// Reads what ``encode(to:)`` writes.
  ///
  /// Durations are exact to the nanosecond up to 100 days.
  public init(from decoder: any Decoder) throws {
    let reader = try MemberReader(decoder)
    number = try reader.value("number")
    error = try reader.text("error", limit: 512) ?? ""
    category = try reader.category("category")
    at = try reader.time("at")
    elapsed = try reader.seconds("elapsed_seconds")
    delay = try reader.seconds("delay_seconds")
    method = try reader.text("method", limit: 128)
  }
}
