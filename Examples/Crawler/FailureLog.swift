internal import Foundation
internal import Reliability

/// Work that failed for good, as the dead letter queue keeps it.
struct FailedVisit: Codable, Sendable {
  var url: String
  var page: String?
}

/// Where failures are told: a full report in `errors.jsonl`, and a dead letter for what failed for good.
///
/// What can't be written is counted and said once; a crawl does not end because its diary is full.
final class FailureLog: Sendable {
  static let name = "errors.jsonl"

  private let reports: AppendLog
  private let letters: DeadLetterQueue<FailedVisit>?
  private let unwritten = Lock((count: 0, first: nil as String?))

  /// - Parameters:
  ///   - directory: Where `errors.jsonl` is.
  ///   - letters: The queue, where there can be one.
  init(_ directory: String, letters: DeadLetterQueue<FailedVisit>?) async throws {
    var options = AppendLog.Options()
    options.format = .plain
    options.healing = .isolate
    reports = try await AppendLog("\(directory)/\(Self.name)", options: options)
    self.letters = letters
  }

  /// Opens the dead letters of a crawl.
  static func letters(in directory: String) async throws -> DeadLetterQueue<FailedVisit> {
    var configuration = DeadLetterConfiguration()
    configuration.name = "crawl"
    configuration.overflow = .dropOldest
    configuration.durability = .none
    return try await DeadLetterQueue(
      "\(directory)/dead-letters.jsonl", configuration: configuration)
  }

  /// How many dead letters there are.
  var deadLetters: Int { letters?.count ?? 0 }

  /// What could not be written, and why for the first time.
  var lost: (count: Int, first: String?) { unwritten.withLock { $0 } }

  func write(_ report: ErrorReport, kind: String, _ visit: FailedVisit, recovery: String) async {
    do {
      try await reports.append(report.json(), durability: .none)
    } catch {
      note(error)
    }
    do {
      var draft = DeadLetter.Draft(kind: kind, report: report)
      draft.source = visit.page
      draft.reason = "\(report.userMessage) \(recovery)"
      _ = try await letters?.add(visit, as: draft)
    } catch {
      note(error)
    }
  }

  private func note(_ error: any Error) {
    unwritten.withLock { unwritten in
      unwritten.count += 1
      unwritten.first = unwritten.first ?? "\(error)"
    }
  }

  func close() async {
    do {
      try await reports.close()
      try await letters?.close()
    } catch {
      note(error)
    }
  }
}
