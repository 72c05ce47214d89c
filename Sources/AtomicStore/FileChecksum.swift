internal import ReliabilityIO

/// What a content's checksum says about it.
public enum FileIntegrity: Hashable, Sendable {
  /// The content is what was saved.
  case verified
  /// No checksum was saved with it, or this file system keeps none.
  case notRecorded
  /// The content differs, and so do size or time of the last change: someone else wrote it.
  case edited
  /// The content differs although nobody wrote to the file: the disk or the file system has damaged it.
  case corrupt
}

/// The checksum that a file carries in an extended attribute, where it does not touch the file's own format.
///
/// The attribute `user.reliability.crc32c` is ASCII text: `1:<crc32c, 8 hex digits>,<size>,<time of last change>`, the
/// time in nanoseconds since 1970 or `-` while a file is being written in place. It travels with the inode through
/// renames and links. More fields after these are ignored, and so is a record with another number than 1 in front:
/// the file counts as one without a checksum then.
struct FileChecksum: Hashable, Sendable {
  static let attribute = "user.reliability.crc32c"

  var crc: UInt32
  var size: Int64
  /// Nanoseconds since 1970; `nil` while the content is on its way.
  var modified: Int64?

  init(crc: UInt32, size: Int64, modified: Int64?) {
    self.crc = crc
    self.size = size
    self.modified = modified
  }

  /// The attribute's value.
  var record: [UInt8] {
    let digits = String(crc, radix: 16)
    let padding = String(repeating: "0", count: 8 - digits.utf8.count)
    return Array("1:\(padding)\(digits),\(size),\(modified.map { "\($0)" } ?? "-")".utf8)
  }

  /// Reads an attribute's value; `nil` when it says nothing that this version understands.
  init?(record: [UInt8]) {
    guard let text = String(validating: record, as: UTF8.self), text.hasPrefix("1:") else {
      return nil
    }
    let fields = text.dropFirst(2).split(separator: ",", omittingEmptySubsequences: false)
    guard fields.count >= 3, fields[0].utf8.count == 8, let crc = UInt32(fields[0], radix: 16),
      let size = Int64(fields[1]), size >= 0
    else { return nil }
    let modified = Int64(fields[2])
    guard modified != nil || fields[2] == "-" else { return nil }
    self.init(crc: crc, size: size, modified: modified)
  }

  /// What it says about a content.
  ///
  /// - Parameters:
  ///   - crc: The content's checksum.
  ///   - status: The file the content was read from.
  func integrity(crc: UInt32, status: FileStatus) -> FileIntegrity {
    if crc == self.crc && status.size == size { return .verified }
    guard let modified else { return .corrupt }
    return status.size != size || status.modified != modified ? .edited : .corrupt
  }
}
