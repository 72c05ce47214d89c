internal import Foundation
internal import Reliability
internal import ReliabilityExampleSupport

/// One file to download, as it waits in the queue and, when all else failed, in the dead-letter queue.
struct DownloadJob: DurableJob, Hashable {
  static let kind = "download"

  /// The address as it was given.
  var url: String
  /// The name in the output directory.
  var name: String
  /// SHA-256 in lower-case hexadecimal, when it is known.
  var checksum: String?
  /// What whoever asked for it calls it.
  var taskID: String?

  private enum CodingKeys: String, CodingKey {
    case url, name, checksum, taskID = "task_id"
  }

  init(_ item: DownloadItem, taskID: String? = nil) {
    url = item.url.absoluteString
    name = item.name
    checksum = item.checksum
    self.taskID = taskID
  }

  /// The file; checked anew, as the state may have been written by anybody.
  ///
  /// - Throws: ``JobRefusal`` when the address or the name is not acceptable.
  func item() throws -> DownloadItem {
    do throws(UsageError) {
      var item = try DownloadPlan.item(url)
      if name != item.name { item.name = try DownloadPlan.checked(name) }
      item.checksum = checksum
      return item
    } catch {
      throw JobRefusal(reason: error.description)
    }
  }
}

/// Work that can't be accepted, whoever tries again.
struct JobRefusal: ClassifiedError, Hashable, CustomStringConvertible {
  let reason: String

  var category: ErrorCategory { .validation }
  var retryability: Retryability { .notRetryable }
  var userMessage: String? { "The request can't be accepted: \(reason)." }
  var suggestedActions: [String] { ["Correct the request."] }
  var description: String { reason }
}
