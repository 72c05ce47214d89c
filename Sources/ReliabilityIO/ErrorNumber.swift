internal import CReliability

#if canImport(Glibc)
  internal import Glibc
#elseif canImport(Darwin)
  internal import Darwin
#elseif canImport(Musl)
  internal import Musl
#endif

/// The number with which an operating system call says why it failed (`errno`).
///
///     do {
///       _ = try await AtomicFile.replace("settings.json", with: bytes)
///     } catch where error.cause?.number == .noSpace {
///       print("the disk is full")
///     }
public struct ErrorNumber: RawRepresentable, Hashable, Sendable, Error {
  /// The platform's own number.
  public let rawValue: Int32

  /// Wraps a platform's number.
  ///
  /// - Parameter rawValue: The value of `errno` after a failed call.
  public init(rawValue: Int32) { self.rawValue = rawValue }

  /// The call was interrupted by a signal (`EINTR`).
  public static let interrupted = ErrorNumber(rawValue: EINTR)
  /// The device or the file system failed (`EIO`).
  public static let inputOutput = ErrorNumber(rawValue: EIO)
  /// The descriptor does not allow the operation (`EBADF`).
  public static let badDescriptor = ErrorNumber(rawValue: EBADF)
  /// The call would have to wait (`EWOULDBLOCK`).
  public static let wouldBlock = ErrorNumber(rawValue: EWOULDBLOCK)
  /// The kernel is out of memory (`ENOMEM`).
  public static let noMemory = ErrorNumber(rawValue: ENOMEM)
  /// Permission is denied by the mode of a file or directory (`EACCES`).
  public static let permissionDenied = ErrorNumber(rawValue: EACCES)
  /// The operation is not allowed to this user or on this file (`EPERM`).
  public static let notPermitted = ErrorNumber(rawValue: EPERM)
  /// The file is in use by the system, for instance as a mount point (`EBUSY`).
  public static let busy = ErrorNumber(rawValue: EBUSY)
  /// The name exists already (`EEXIST`).
  public static let exists = ErrorNumber(rawValue: EEXIST)
  /// The two names are on different file systems (`EXDEV`).
  public static let crossDevice = ErrorNumber(rawValue: EXDEV)
  /// The name does not exist (`ENOENT`).
  public static let notFound = ErrorNumber(rawValue: ENOENT)
  /// A part of the path is not a directory (`ENOTDIR`).
  public static let notADirectory = ErrorNumber(rawValue: ENOTDIR)
  /// The name is a directory (`EISDIR`).
  public static let isADirectory = ErrorNumber(rawValue: EISDIR)
  /// The directory is not empty (`ENOTEMPTY`).
  public static let directoryNotEmpty = ErrorNumber(rawValue: ENOTEMPTY)
  /// An argument is not valid for this file (`EINVAL`).
  public static let invalidArgument = ErrorNumber(rawValue: EINVAL)
  /// The process has too many files open (`EMFILE`).
  public static let tooManyOpenFiles = ErrorNumber(rawValue: EMFILE)
  /// The system has too many files open (`ENFILE`).
  public static let tooManyOpenFilesInSystem = ErrorNumber(rawValue: ENFILE)
  /// The file would grow beyond a limit of the process or the file system (`EFBIG`).
  public static let fileTooLarge = ErrorNumber(rawValue: EFBIG)
  /// The device is full (`ENOSPC`).
  public static let noSpace = ErrorNumber(rawValue: ENOSPC)
  /// The user's quota is used up (`EDQUOT`).
  public static let quotaExceeded = ErrorNumber(rawValue: EDQUOT)
  /// The file system is mounted read-only (`EROFS`).
  public static let readOnlyFileSystem = ErrorNumber(rawValue: EROFS)
  /// The file cannot have another name (`EMLINK`).
  public static let tooManyLinks = ErrorNumber(rawValue: EMLINK)
  /// A name or path is too long (`ENAMETOOLONG`).
  public static let nameTooLong = ErrorNumber(rawValue: ENAMETOOLONG)
  /// Too many symbolic links were met (`ELOOP`).
  public static let symbolicLinkLoop = ErrorNumber(rawValue: ELOOP)
  /// The kernel has no lock to give (`ENOLCK`).
  public static let noLocks = ErrorNumber(rawValue: ENOLCK)
  /// The kernel does not know the call (`ENOSYS`).
  public static let notImplemented = ErrorNumber(rawValue: ENOSYS)
  /// The file system does not support the operation (`ENOTSUP`).
  public static let notSupported = ErrorNumber(rawValue: ENOTSUP)
  /// The file's handle is stale, as network file systems say (`ESTALE`).
  public static let staleHandle = ErrorNumber(rawValue: ESTALE)
  /// The operation took too long (`ETIMEDOUT`).
  public static let timedOut = ErrorNumber(rawValue: ETIMEDOUT)
  /// A name is not valid UTF-8 or holds a NUL (`EILSEQ`).
  public static let illegalByteSequence = ErrorNumber(rawValue: EILSEQ)
  /// A buffer was too small for the result (`ERANGE`).
  public static let outOfRange = ErrorNumber(rawValue: ERANGE)
  /// The extended attribute does not exist (`ENODATA`, `ENOATTR` on Apple platforms).
  public static var noAttribute: ErrorNumber {
    #if canImport(Darwin)
      ErrorNumber(rawValue: ENOATTR)
    #else
      ErrorNumber(rawValue: ENODATA)
    #endif
  }

  /// The name from the C header, such as `ENOSPC`, or `nil` for a number this module has no constant for.
  public var name: String? { ErrorNumber.names[self] }

  /// The C library's sentence for the number, such as "No space left on device".
  public var message: String {
    unsafe withUnsafeTemporaryAllocation(of: CChar.self, capacity: 256) { buffer in
      guard let start = buffer.baseAddress else { return "" }
      unsafe creliability_error_text(rawValue, start, buffer.count)
      return unsafe String(cString: start)
    }
  }

  private static let names: [ErrorNumber: String] = [
    .interrupted: "EINTR", .inputOutput: "EIO", .badDescriptor: "EBADF", .wouldBlock: "EAGAIN",
    .noMemory: "ENOMEM", .permissionDenied: "EACCES", .notPermitted: "EPERM", .busy: "EBUSY",
    .exists: "EEXIST", .crossDevice: "EXDEV", .notFound: "ENOENT", .notADirectory: "ENOTDIR",
    .isADirectory: "EISDIR", .directoryNotEmpty: "ENOTEMPTY", .invalidArgument: "EINVAL",
    .tooManyOpenFiles: "EMFILE", .tooManyOpenFilesInSystem: "ENFILE", .fileTooLarge: "EFBIG",
    .noSpace: "ENOSPC", .quotaExceeded: "EDQUOT", .readOnlyFileSystem: "EROFS",
    .tooManyLinks: "EMLINK", .nameTooLong: "ENAMETOOLONG", .symbolicLinkLoop: "ELOOP",
    .noLocks: "ENOLCK", .notImplemented: "ENOSYS", .notSupported: "ENOTSUP",
    .staleHandle: "ESTALE", .timedOut: "ETIMEDOUT", .illegalByteSequence: "EILSEQ",
    .outOfRange: "ERANGE", .noAttribute: "ENODATA",
  ]
}

extension ErrorNumber: CustomStringConvertible {
  /// The sentence with the name, such as "No space left on device (ENOSPC)".
  public var description: String { "\(message) (\(name ?? "errno \(rawValue)"))" }
}
