public import ReliabilityIO

/// What a sweep found.
///
///     let report = try await OrphanSweeper.sweep("/data")
///     print(report)  // removed 2 files (8192 bytes), kept 1, failed 0
public struct SweepReport: Hashable, Sendable {
  /// A temporary file of ours.
  public struct File: Hashable, Sendable {
    /// Where it is, or was.
    public let path: String
    /// How many bytes it holds.
    public let size: Int64
    /// How long ago it was last changed, by the clock of whoever stores it; zero at least.
    public let age: Duration
    /// The process that made it, by that process's own count: in another container or machine the number means
    /// nothing here.
    public let process: Int32
  }

  /// A file that stays.
  public struct KeptFile: Hashable, Sendable {
    /// Why a file stays.
    public enum Reason: String, Hashable, Sendable {
      /// A writer holds its lock.
      case live
      /// Its writer has ended, but it is younger than ``OrphanSweeper/Options/minimumAge``.
      case recent
      /// Nothing proves that its writer has ended, and it is younger than
      /// ``OrphanSweeper/Options/minimumAgeWithoutProof``.
      case unproven
      /// It is an orphan, and only a report was asked for.
      case reportOnly
      /// It has a name of ours but is a link, a directory, a FIFO or a device: somebody else made it.
      case notRegularFile
    }

    /// The file.
    public let file: File
    /// Why it stays.
    public let reason: Reason
  }

  /// What was removed.
  public internal(set) var removed: [File] = []

  /// What has a name of ours and stays.
  public internal(set) var kept: [KeptFile] = []

  /// The calls that failed, each with the path of its file.
  public internal(set) var failures: [SystemCallError] = []

  /// Whether nothing of ours was found.
  public var isEmpty: Bool { removed.isEmpty && kept.isEmpty && failures.isEmpty }
}

extension SweepReport: CustomStringConvertible {
  /// The counts in one line.
  public var description: String {
    let bytes = removed.reduce(0) { $0 + $1.size }
    return
      "removed \(removed.count) files (\(bytes) bytes), kept \(kept.count), failed \(failures.count)"
  }
}
