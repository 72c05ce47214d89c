import Reliability

/// From a failure to the next good result.
enum RecoveryMeasure {
  static func run(_ scratch: Scratch, _ findings: Findings) async throws {
    try await retries(findings)
    try await manifest(scratch, findings)
  }

  /// A call that fails once and is repeated after ten milliseconds.
  private static func retries(_ findings: Findings) async throws {
    let policy = RetryPolicy(backoff: .constant(.milliseconds(10), jitter: .none))
    let times = try await Times.measure(50) {
      try await retry(policy) { attempt in if attempt == 1 { throw NetworkError("gone") } }
    }
    findings.add(.time("error recovery, a retry after 10 ms", below: 100, times))
  }

  /// A manifest that was cut off, and is read from its backup.
  private static func manifest(_ scratch: Scratch, _ findings: Findings) async throws {
    let path = scratch.file("damaged.json")
    let document = AtomicDocument<[String: Int]>(path)
    var times = Times()
    for number in 0..<30 {
      try await document.save(["n": number])
      try await document.save(["n": number])
      try await AtomicFile.replace(path, with: Array("{\"n\"".utf8))
      let start = ContinuousClock.now
      let loaded = try await document.load()
      times.add(ContinuousClock.now - start)
      findings.expect(loaded.value == ["n": number], "\(loaded.source): \(loaded.value ?? [:])")
    }
    findings.add(.time("error recovery, a damaged manifest", below: 100, times))
  }
}
