// Parts of a report are cleaned by the standard rules when they are made, which is before anybody knows the options of the
// report they will belong to.

extension AttemptRecord {
  func redacted(by redaction: Redaction) -> AttemptRecord {
    if redaction == .standard { return self }
    return AttemptRecord(
      number: number, error: redaction.redact(error), category: category, at: at, elapsed: elapsed,
      delay: delay, method: method.map(redaction.redact))
  }
}

extension ErrorReport.TimelineEntry {
  func redacted(by redaction: Redaction) -> Self {
    if redaction == .standard { return self }
    return Self(event, at: at, detail: detail.map(redaction.redact))
  }
}

extension ErrorReport.ProcessDetails {
  func redacted(by redaction: Redaction) -> Self {
    if redaction == .standard { return self }
    return Self(
      arguments: redaction.redact(arguments: arguments), exitCode: exitCode, signal: signal,
      output: outputTail.map(redaction.redact), errorOutput: errorTail.map(redaction.redact),
      resources: resources, duration: duration)
  }
}

extension ErrorReport.DownloadDetails {
  func redacted(by redaction: Redaction) -> Self {
    if redaction == .standard { return self }
    return Self(
      title: redaction.redact(title), url: redaction.redact(url),
      attempts: attempts.map { $0.redacted(by: redaction) },
      lastError: lastError.map(redaction.redact),
      temporaryPath: temporaryPath.map(redaction.redact),
      recoveryTaken: recoveryTaken.map(redaction.redact), recommendedQuality: recommendedQuality)
  }
}
