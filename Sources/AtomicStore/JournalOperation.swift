internal import ReliabilityIO

/// One change of a committed transaction, as the journal keeps it: enough to make it again, however often.
enum JournalOperation: Hashable, Sendable {
  /// Bytes that belong at an offset of a file.
  ///
  /// The inode says which file; 0 means the file was made since the last checkpoint, so that after a power cut it
  /// may be missing and have another number when it is made again.
  case append(path: String, inode: UInt64, base: Int64, bytes: [UInt8])
  /// The whole content of a file.
  ///
  /// A mode of `nil` keeps that of the file that is replaced.
  case replace(path: String, mode: FileMode?, bytes: [UInt8])
  /// The whole content of a file, kept in a file of its own because it is too large for the journal.
  case replaceFromSide(path: String, mode: FileMode?, side: SideFile)
  case remove(path: String)

  /// The file, relative to the store.
  var path: String {
    switch self {
    case .append(let path, _, _, _), .replace(let path, _, _), .replaceFromSide(let path, _, _),
      .remove(let path):
      path
    }
  }

  /// Whether nothing that was in the file before matters any more.
  var isWhole: Bool { if case .append = self { false } else { true } }

  var sideFile: SideFile? {
    if case .replaceFromSide(_, _, let side) = self { side } else { nil }
  }
}

/// Content that was written and synced beside the journal before the transaction was committed.
struct SideFile: Hashable, Sendable {
  var name: String
  var size: Int64
  var checksum: UInt32
}

extension JournalOperation {
  private enum Kind {
    static let append: UInt8 = 1
    static let replace: UInt8 = 2
    static let remove: UInt8 = 3
    static let replaceFromSide: UInt8 = 4
  }

  /// In place of a mode: keep that of the file.
  private static let keepsMode: UInt16 = .max

  func encode(into out: inout JournalWriter) {
    switch self {
    case .append(let path, let inode, let base, let bytes):
      out.integer(Kind.append)
      out.text(path)
      out.integer(inode)
      out.integer(UInt64(bitPattern: base))
      out.bytes(bytes)
    case .replace(let path, let mode, let bytes):
      out.integer(Kind.replace)
      out.text(path)
      out.integer(mode.map { UInt16($0.rawValue) } ?? Self.keepsMode)
      out.bytes(bytes)
    case .remove(let path):
      out.integer(Kind.remove)
      out.text(path)
    case .replaceFromSide(let path, let mode, let side):
      out.integer(Kind.replaceFromSide)
      out.text(path)
      out.integer(mode.map { UInt16($0.rawValue) } ?? Self.keepsMode)
      out.text(side.name)
      out.integer(UInt64(bitPattern: side.size))
      out.integer(side.checksum)
    }
  }

  /// - Returns: `nil` for a kind this version does not know, and for bytes that are none.
  init?(from reader: inout JournalReader) {
    guard let kind = reader.integer(UInt8.self), let path = reader.text(),
      FileTransaction.isPath(path)
    else { return nil }
    switch kind {
    case Kind.append:
      guard let inode = reader.integer(UInt64.self), let base = reader.size(),
        let bytes = reader.bytes(), !base.addingReportingOverflow(Int64(bytes.count)).overflow
      else { return nil }
      self = .append(path: path, inode: inode, base: base, bytes: bytes)
    case Kind.replace:
      guard let mode = reader.integer(UInt16.self), let bytes = reader.bytes() else { return nil }
      self = .replace(path: path, mode: Self.mode(mode), bytes: bytes)
    case Kind.remove:
      self = .remove(path: path)
    case Kind.replaceFromSide:
      guard let mode = reader.integer(UInt16.self), let name = reader.text(),
        JournalName.isSide(name), let size = reader.size(),
        let checksum = reader.integer(UInt32.self)
      else { return nil }
      self = .replaceFromSide(
        path: path, mode: Self.mode(mode),
        side: SideFile(name: name, size: size, checksum: checksum))
    default: return nil
    }
  }

  private static func mode(_ value: UInt16) -> FileMode? {
    value == keepsMode ? nil : FileMode(rawValue: UInt32(value))
  }
}

/// The names a store keeps for itself, all in its own directory.
enum JournalName {
  static let prefix = ".transactions."
  static let journal = prefix + "journal"
  static let newJournal = prefix + "journal.new"
  static let lock = prefix + "lock"
  private static let sidePrefix = prefix + "side."
  private static let asidePrefix = prefix + "set-aside."

  static func side(_ random: UInt64) -> String { sidePrefix + String(random, radix: 16) }
  static func setAside(_ random: UInt64) -> String { asidePrefix + String(random, radix: 16) }

  static func isSide(_ name: String) -> Bool {
    name.hasPrefix(sidePrefix) && !name.utf8.contains(UInt8(ascii: "/"))
  }
}
