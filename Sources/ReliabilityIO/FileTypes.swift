/// The permission bits of a file: `0o644`, `0o600` and so on.
///
///     let options = AtomicFile.Options(mode: 0o600)  // a secret: readable by its owner alone
public struct FileMode: RawRepresentable, Hashable, Sendable, ExpressibleByIntegerLiteral {
  /// The twelve bits: set-user-id, set-group-id, sticky, and read, write, execute for owner, group and others.
  public let rawValue: UInt32

  /// Keeps the twelve permission bits of a number.
  ///
  /// - Parameter rawValue: The bits; anything above `0o7777` is dropped.
  public init(rawValue: UInt32) { self.rawValue = rawValue & 0o7777 }

  /// Makes a mode from a literal.
  ///
  /// - Parameter value: The bits, 0 to `0o7777`; anything else is a programmer's error and traps.
  public init(integerLiteral value: UInt32) {
    precondition(value <= 0o7777, "a file mode has twelve bits, 0 to 0o7777")
    rawValue = value
  }
}

extension FileMode: CustomStringConvertible {
  /// The bits in octal, such as `0644`.
  public var description: String {
    let digits = String(rawValue, radix: 8)
    return String(repeating: "0", count: max(0, 4 - digits.count)) + digits
  }
}

/// An open file or directory of one ``FileSystem``: the kernel's number, or the simulated disk's.
package struct Descriptor: RawRepresentable, Hashable, Sendable {
  package let rawValue: Int32
  package init(rawValue: Int32) { self.rawValue = rawValue }
}

/// How a file is opened.
///
/// Every descriptor is closed on `exec`, so there is no flag for it.
package struct OpenFlags: OptionSet, Sendable {
  package let rawValue: UInt16
  package init(rawValue: UInt16) { self.rawValue = rawValue }

  package static let read = OpenFlags(rawValue: 1 << 0)
  package static let write = OpenFlags(rawValue: 1 << 1)
  package static let create = OpenFlags(rawValue: 1 << 2)
  /// With ``create``: fails when the name exists, also as a dangling link.
  package static let exclusive = OpenFlags(rawValue: 1 << 3)
  /// Fails with `ELOOP` when the last component is a symbolic link.
  package static let noFollow = OpenFlags(rawValue: 1 << 4)
  /// Does not wait for the other end of a FIFO.
  package static let nonBlocking = OpenFlags(rawValue: 1 << 5)
  package static let directory = OpenFlags(rawValue: 1 << 6)
  package static let append = OpenFlags(rawValue: 1 << 7)
  /// Only names the directory: good for `…at` calls without read permission, not for reading or syncing.
  package static let nameOnly = OpenFlags(rawValue: 1 << 8)
}

/// What a file is and who owns it.
package struct FileStatus: Hashable, Sendable {
  package enum Kind: String, Sendable {
    case regular = "a regular file"
    case directory = "a directory"
    case symbolicLink = "a symbolic link"
    case fifo = "a FIFO"
    case socket = "a socket"
    case device = "a device"
    case other = "an unknown kind of file"
  }

  package var kind: Kind
  package var mode: FileMode
  package var size: Int64
  package var links: Int
  package var user: UInt32
  package var group: UInt32
  package var device: UInt64
  package var inode: UInt64
  /// Nanoseconds since 1970, as the file system keeps them.
  package var modified: Int64
  package var changed: Int64

  package init(
    kind: Kind, mode: FileMode, size: Int64, links: Int, user: UInt32, group: UInt32,
    device: UInt64, inode: UInt64, modified: Int64, changed: Int64
  ) {
    self.kind = kind
    self.mode = mode
    self.size = size
    self.links = links
    self.user = user
    self.group = group
    self.device = device
    self.inode = inode
    self.modified = modified
    self.changed = changed
  }
}

extension FileStatus {
  /// Whether both are the same file of the same disk, whatever its names.
  package func isSameFile(as other: FileStatus) -> Bool {
    inode == other.inode && device == other.device
  }
}

/// What a sync must have achieved when it returns.
package enum SyncKind: Sendable {
  /// Contents and metadata are on the medium (`fsync`; `F_FULLFSYNC` on Apple platforms).
  case full
  /// Contents, and what is needed to read them, are on the medium (`fdatasync`).
  case data
  /// Contents and metadata will reach the medium before anything written later (`F_BARRIERFSYNC` on Apple
  /// platforms; elsewhere there is no such call and it is ``full``).
  case barrier
}

/// What a rename does when the new name exists.
package enum RenameRule: Sendable {
  case replace
  /// Fails with `EEXIST`.
  case noReplace
  /// Swaps the two files.
  case exchange
}

/// What is asked of an advisory lock.
package enum LockOperation: Sendable {
  case exclusive, shared, unlock
}

/// What kind of file system a file is on: the name and what is known about it.
package struct FileSystemKind: Hashable, Sendable {
  /// The name as `mount` shows it, such as `ext4` or `nfs`, or the number in hexadecimal when it is not known here.
  package var name: String
  /// Whether another machine may hold the data, so that locks and syncs are its business too.
  package var isNetwork: Bool

  package init(name: String, isNetwork: Bool) {
    self.name = name
    self.isNetwork = isNetwork
  }
}
