/// The seam below every file operation of this package: one requirement a system call, nothing in between.
///
/// A backend makes exactly one attempt and answers with the plain error number. Policy lives above it, in
/// ``OpenFile`` and ``OpenDirectory``: retrying `EINTR`, looping over short writes, adding call and path to the
/// error. So a test that counts calls, fails the n-th one or writes short puts the policy itself to the test,
/// and a simulated disk needs no policy of its own.
///
/// Names are relative to an open directory; `nil` is the working directory, and an absolute name ignores it, as
/// with the `…at` family. A name with a NUL fails with `EILSEQ`.
package protocol FileSystemBackend: Sendable {
  // Descriptors
  func open(
    _ name: String, in directory: Descriptor?, _ flags: OpenFlags, mode: FileMode
  ) throws(ErrorNumber) -> Descriptor
  /// Frees the descriptor also when it throws: a close is never tried again.
  func close(_ file: Descriptor) throws(ErrorNumber)
  func duplicate(_ file: Descriptor) throws(ErrorNumber) -> Descriptor

  // Contents. An offset of `nil` is the descriptor's own position (the end, when opened to append).
  /// Reads into the buffer's free capacity; 0 is the end of the file.
  func read(
    _ file: Descriptor, into buffer: inout OutputSpan<UInt8>, at offset: Int64?
  ) throws(ErrorNumber) -> Int
  func write(
    _ file: Descriptor, _ bytes: Span<UInt8>, at offset: Int64?
  ) throws(ErrorNumber) -> Int
  func truncate(_ file: Descriptor, to size: Int64) throws(ErrorNumber)
  func sync(_ file: Descriptor, _ kind: SyncKind) throws(ErrorNumber)

  // Metadata
  func status(_ file: Descriptor) throws(ErrorNumber) -> FileStatus
  func status(
    of name: String, in directory: Descriptor?, followingLink: Bool
  ) throws(ErrorNumber) -> FileStatus
  func setMode(_ file: Descriptor, _ mode: FileMode) throws(ErrorNumber)
  /// `nil` leaves the user or the group as it is.
  func setOwner(_ file: Descriptor, user: UInt32?, group: UInt32?) throws(ErrorNumber)
  func lock(_ file: Descriptor, _ operation: LockOperation) throws(ErrorNumber)
  /// Locks a range of bytes for this open file description (`F_OFD_SETLK`, `F_OFD_SETLKW`).
  ///
  /// Bytes beyond the end can be locked. With `waits` it blocks without a bound, so only on a thread of its own;
  /// without, a range that someone else holds is `EAGAIN`. `ENOSYS` where there are no such locks.
  func lockRange(
    _ file: Descriptor, _ range: Range<Int64>, _ operation: LockOperation, waits: Bool
  ) throws(ErrorNumber)
  /// Whether another open file description holds a lock in the range that excludes this one (`F_OFD_GETLK`).
  func isRangeLocked(
    _ file: Descriptor, _ range: Range<Int64>, against operation: LockOperation
  ) throws(ErrorNumber) -> Bool
  /// As ``lock(_:_:)``, but waits without a bound: only on a thread of its own.
  func lockWaiting(_ file: Descriptor, _ operation: LockOperation) throws(ErrorNumber)
  /// Sets the times of access and change to now, by the clock of whoever stores the file (`futimens`).
  func touch(_ file: Descriptor) throws(ErrorNumber)
  /// What kind of file system holds an open file (`fstatfs`).
  func kind(of file: Descriptor) throws(ErrorNumber) -> FileSystemKind
  func attributeNames(_ file: Descriptor) throws(ErrorNumber) -> [String]
  func attribute(_ file: Descriptor, _ name: String) throws(ErrorNumber) -> [UInt8]
  func setAttribute(
    _ file: Descriptor, _ name: String, _ value: Span<UInt8>
  ) throws(ErrorNumber)
  func removeAttribute(_ file: Descriptor, _ name: String) throws(ErrorNumber)

  // Names
  func rename(
    _ name: String, in directory: Descriptor?, to newName: String, in newDirectory: Descriptor?,
    _ rule: RenameRule
  ) throws(ErrorNumber)
  func link(
    _ name: String, in directory: Descriptor?, to newName: String, in newDirectory: Descriptor?
  ) throws(ErrorNumber)
  func makeSymbolicLink(
    _ name: String, in directory: Descriptor?, destination: String
  ) throws(ErrorNumber)
  func readLink(_ name: String, in directory: Descriptor?) throws(ErrorNumber) -> String
  func unlink(_ name: String, in directory: Descriptor?) throws(ErrorNumber)
  func makeDirectory(
    _ name: String, in directory: Descriptor?, mode: FileMode
  ) throws(ErrorNumber)
  func removeDirectory(_ name: String, in directory: Descriptor?) throws(ErrorNumber)
  /// The names in a directory without `.` and `..`, in no order. Names that are not UTF-8 are left out: no
  /// `String` path can say them.
  func entries(of directory: Descriptor) throws(ErrorNumber) -> [String]

  // The process. A simulated disk makes both repeatable.
  var processIdentifier: Int32 { get }
  /// 64 random bits for a temporary file's name.
  func randomBits() -> UInt64
  /// The user whose rights count, or `nil` where there are no users.
  var effectiveUser: UInt32? { get }
}

extension FileSystemBackend {
  package var effectiveUser: UInt32? { nil }
}
