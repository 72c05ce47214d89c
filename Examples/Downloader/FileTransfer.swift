internal import Reliability
internal import ReliabilityExampleSupport

/// One file on its way to the disk, over as many attempts as it takes.
///
/// The built-in client (``FileDownload``) is one way; an external tool may be another. Attempts come one after the other;
/// what one brought may be kept for the next. Dropping it removes what is unfinished.
protocol FileTransfer: AnyObject, Sendable {
  /// What happened so far.
  var outcome: TransferOutcome { get }
  /// The failed attempts, for the error report.
  var failures: [AttemptRecord] { get }
  /// Where the bytes are until they are published, when there are any.
  var temporaryPath: String? { get }
  /// Tries once; the complete and verified file is there when it returns, without its name.
  ///
  /// - Throws: What went wrong, classified.
  func attempt() async throws
  /// Gives the complete file its name.
  func publish() async throws
}

/// What happened on the way.
struct TransferOutcome: Sendable {
  var bytes = 0
  var attempts = 0
  var timeouts = 0
  var resumptions = 0
  /// What brought the file, when there was a choice: a quality of the tool, or the built-in client behind it.
  var served: String?
  /// Why better ones did not.
  var passed: [String] = []
  /// SHA-256 of the file in hexadecimal, when somebody wanted it.
  var digest: String?
}

/// How files are fetched.
protocol FileTransferMethod: Sendable {
  /// How long attempts may take.
  var limits: TransferLimits { get }

  /// Prepares the transfer of one file; touches nothing yet.
  ///
  /// - Parameters:
  ///   - item: The file.
  ///   - path: The name it gets.
  ///   - progress: Told how many bytes are there, and how many there will be when that is known.
  func transfer(
    of item: DownloadItem, to path: String,
    progress: @escaping @Sendable (_ received: Int, _ expected: Int?) -> Void
  ) -> any FileTransfer
}

/// The client of this program: HTTP/1.1 on connections that are kept, https by URLSession.
struct BuiltInTransfer: FileTransferMethod {
  /// What one attempt may take.
  var limits = TransferLimits()
  /// What times attempts.
  var clock: any TimeSource = ContinuousClock()
  var durability = Durability.none
  var policy = AddressPolicy.any
  /// Where transfers block.
  var threads = BlockingThreads.shared
  /// Where hosts are looked up.
  var book = AddressBook.shared
  /// Whether the digest is wanted also of files whose checksum is not known.
  var alwaysDigests = false

  func transfer(
    of item: DownloadItem, to path: String,
    progress: @escaping @Sendable (_ received: Int, _ expected: Int?) -> Void
  ) -> any FileTransfer {
    FileDownload(item, to: path, method: self, progress: progress)
  }
}
