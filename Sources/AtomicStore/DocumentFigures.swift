/// What a document counts.
final class DocumentFigures: MetricsSource {
  private struct Counts {
    var saves = 0
    var failures = 0
    var recoveries = 0
    var quarantined = 0
    var failedBackups = 0
    var edits = 0
    var hasToldOfChecksum = false
  }

  private let counts = Lock(Counts())

  func count(_ kind: DocumentEvent.Kind) {
    counts.withLock { counts in
      switch kind {
      case .recoveredFromBackup: counts.recoveries += 1
      case .quarantined: counts.quarantined += 1
      case .backupFailed: counts.failedBackups += 1
      case .editedExternally: counts.edits += 1
      case .checksumNotRecorded, .notDurable, .cleanUpFailed: break
      }
    }
  }

  /// `true` the first time.
  func isFirstWithoutChecksum() -> Bool {
    counts.withLock { counts in
      defer { counts.hasToldOfChecksum = true }
      return !counts.hasToldOfChecksum
    }
  }

  func countSave(succeeded: Bool) {
    counts.withLock { counts in
      if succeeded { counts.saves += 1 } else { counts.failures += 1 }
    }
  }

  func samples() -> [MetricSample] {
    let counts = counts.withLock { $0 }
    return [
      sample("document_saves_total", counts.saves, "Saves that took effect"),
      sample("document_save_failures_total", counts.failures, "Saves that did not take effect"),
      sample("document_recoveries_total", counts.recoveries, "Loads served from a backup"),
      sample("document_quarantined_total", counts.quarantined, "Damaged files moved aside"),
      sample("document_backup_failures_total", counts.failedBackups, "Backups not made"),
      sample("document_external_edits_total", counts.edits, "Edits by other programs"),
    ]
  }

  private func sample(_ name: String, _ value: Int, _ help: String) -> MetricSample {
    MetricSample(name: name, kind: .counter, value: Double(value), help: help)
  }
}
