/// Where files live: the machine's own file system, or a simulated disk in a test.
///
/// Types that touch files take one and use ``real`` unless told otherwise, so a test can hand them a disk that
/// fails on demand.
///
///     let bytes: [UInt8] = Array("{}".utf8)
///     try await AtomicFile.replace("settings.json", with: bytes, fileSystem: .real)
public struct FileSystem: Sendable {
  package let backend: any FileSystemBackend

  /// Wraps the calls of one file system.
  ///
  /// - Parameter backend: Makes the calls.
  package init(_ backend: any FileSystemBackend) { self.backend = backend }

  /// The machine's own file system.
  public static let real = FileSystem(RealFileSystem())
}

extension FileSystem {
  /// Runs one call until it is not interrupted, and says call and path when it fails.
  ///
  /// Every call but `close` may be repeated after `EINTR`: none of them has an effect when it reports it.
  @inline(__always)
  package func perform<R: ~Copyable>(
    _ call: StaticString, _ path: @autoclosure () -> String,
    _ body: (any FileSystemBackend) throws(ErrorNumber) -> R
  ) throws(SystemCallError) -> R {
    while true {
      do throws(ErrorNumber) {
        return try body(backend)
      } catch {
        if error != .interrupted {
          throw SystemCallError(error, call: "\(call)", path: path())
        }
      }
    }
  }
}

/// A directory's path and a name in it, joined as a person would write them.
package func joinPath(_ directory: String, _ name: String) -> String {
  if directory.isEmpty || directory == "." || name.utf8.first == UInt8(ascii: "/") { return name }
  return directory.utf8.last == UInt8(ascii: "/") ? directory + name : directory + "/" + name
}
