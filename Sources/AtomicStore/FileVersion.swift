internal import ReliabilityIO

/// Which content a path held when someone looked: to notice that it has changed since.
///
/// Device, inode, size and both times to the nanosecond. Whatever replaces the file, writes into it or gives it another
/// name changes at least one of them, as far as the file system's clock can tell two moments apart (some tick only
/// every few milliseconds; a replacement has another inode in any case).
///
///     let seen = try await AtomicFile.version(of: "settings.json")
///     var options = AtomicFile.Options()
///     options.ifUnchanged = seen
///     try await AtomicFile.replace("settings.json", with: bytes, options: options)
public struct FileVersion: Hashable, Sendable {
  let device: UInt64
  let inode: UInt64
  let size: Int64
  let modified: Int64
  let changed: Int64

  init(_ status: FileStatus) {
    device = status.device
    inode = status.inode
    size = status.size
    modified = status.modified
    changed = status.changed
  }
}
