internal import ErrorContext
internal import Foundation
internal import ReliabilityCore

extension Classification {
  /// What an `errno` means, `nil` for one this platform does not name.
  init?(errno number: Int) {
    guard let raw = Int32(exactly: number), let code = POSIXErrorCode(rawValue: raw) else {
      return nil
    }
    switch code {
    case .ECANCELED:
      self = .cancelled
    case .ENOSPC, .EDQUOT:
      self.init(
        .fileSystem, .notRetryable, userMessage: "There is no space left on the disk.",
        suggestedActions: ["Free some space, or choose another folder."])
    case .EACCES, .EPERM, .EROFS:
      self.init(
        .fileSystem, .notRetryable, userMessage: "Writing or reading is not permitted there.",
        suggestedActions: ["Check the permissions, or choose another folder."])
    case .ENOENT, .EEXIST, .ENOTDIR, .EISDIR, .ENOTEMPTY, .ENAMETOOLONG, .ELOOP, .EXDEV, .EFBIG,
      .EIO, .ENXIO, .ENODEV, .EMLINK, .ESPIPE, .ESTALE:
      self.init(.fileSystem, .notRetryable)
    case .EINTR, .ETXTBSY, .ENOLCK, .EDEADLK:
      self.init(.fileSystem, .retryable())
    case .EAGAIN, .EBUSY, .EMFILE, .ENFILE, .ENOBUFS, .EUSERS:
      self.init(.overload, .retryable())
    case .ENOMEM:
      // The same work needs the same memory: a smaller piece of it may pass, a repetition won't.
      self.init(.memoryExhaustion, .notRetryable)
    case .ECONNRESET, .ECONNREFUSED, .ECONNABORTED, .ETIMEDOUT, .EHOSTUNREACH, .EHOSTDOWN,
      .ENETUNREACH, .ENETDOWN, .ENETRESET, .ENOTCONN, .ESHUTDOWN, .EPIPE, .EADDRINUSE:
      self.init(.network, .retryable())
    case .EADDRNOTAVAIL, .EAFNOSUPPORT, .EPROTONOSUPPORT, .EPROTOTYPE, .EMSGSIZE, .EPROTO,
      .EISCONN, .EDESTADDRREQ:
      self.init(.network, .notRetryable)
    case .ECHILD, .ESRCH, .ENOEXEC:
      self.init(.process, .notRetryable)
    case .EINVAL, .E2BIG, .EBADF, .EDOM, .ERANGE, .EILSEQ, .EOVERFLOW, .EOPNOTSUPP, .ENOSYS,
      .ENOTTY,
      .EFAULT:
      self.init(.validation, .notRetryable)
    default:
      self = .unknown
    }
  }
}
