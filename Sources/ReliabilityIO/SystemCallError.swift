/// One operating system call that failed: which call, on which file, and why.
///
/// It is the `cause` of the errors that the modules above throw, and is thrown itself where nothing can be added
/// to it. No text is built until someone reads it.
///
///     do {
///       try await AtomicFile.replace("settings.json", with: bytes)
///     } catch {  // error is a StoreError
///       guard let cause = error.cause else { throw error }
///       print(cause.call, cause.number)  // fsync No space left on device (ENOSPC)
///     }
public struct SystemCallError: ClassifiedError, Hashable {
  /// Why the call failed.
  public let number: ErrorNumber

  /// The name of the call as in the manual's section 2, such as `write` or `fsync`.
  public let call: String

  /// The path of the file or directory that the call was about.
  public let path: String

  /// Describes a failed call.
  ///
  /// - Parameters:
  ///   - number: Why it failed.
  ///   - call: The call's name, such as `"write"`.
  ///   - path: The file or directory it was about.
  public init(_ number: ErrorNumber, call: String, path: String) {
    self.number = number
    self.call = call
    self.path = path
  }

  /// ``ErrorCategory/fileSystem``, except where the number speaks of memory, descriptors or time.
  public var category: ErrorCategory {
    switch number {
    case .noMemory: .memoryExhaustion
    case .tooManyOpenFiles, .tooManyOpenFilesInSystem: .overload
    case .timedOut: .timeout
    default: .fileSystem
    }
  }

  /// Retryable when the reason may pass by itself: a busy or failing device, missing descriptors or memory.
  ///
  /// A full disk, a spent quota and missing permissions need a person first.
  public var retryability: Retryability {
    switch number {
    case .interrupted, .inputOutput, .wouldBlock, .noMemory, .tooManyOpenFiles,
      .tooManyOpenFilesInSystem, .busy, .noLocks, .staleHandle, .timedOut:
      .retryable()
    default: .notRetryable
    }
  }

  /// One sentence with the path.
  public var userMessage: String? {
    switch number {
    case .noSpace: "There is no space left on the disk that holds \(path)."
    case .quotaExceeded: "The disk quota for \(path) is used up."
    case .fileTooLarge: "\(path) would become larger than the system allows."
    case .readOnlyFileSystem: "The disk that holds \(path) is read-only."
    case .permissionDenied, .notPermitted: "There is no permission to use \(path)."
    case .notFound: "\(path) does not exist."
    case .tooManyOpenFiles, .tooManyOpenFilesInSystem: "Too many files are open."
    default: "\(path): \(number.message)."
    }
  }

  /// What to do about it, by reason.
  public var suggestedActions: [String] {
    switch number {
    case .noSpace: ["Free some space, or use a directory on another disk."]
    case .quotaExceeded: ["Remove files you no longer need, or ask for a larger quota."]
    case .fileTooLarge: ["Raise the file size limit (`ulimit -f`), or write smaller files."]
    case .readOnlyFileSystem: ["Use a directory on a writable disk."]
    case .permissionDenied, .notPermitted: ["Check owner and permissions of the path."]
    case .notFound, .notADirectory: ["Check the path for a typing error."]
    case .inputOutput: ["Check the disk and the system log: the device reported a failure."]
    case .tooManyOpenFiles, .tooManyOpenFilesInSystem:
      ["Raise the limit of open files (`ulimit -n`), or do less at once."]
    case .nameTooLong: ["Use a shorter name."]
    default: []
    }
  }
}

extension SystemCallError: CustomStringConvertible {
  /// Call, path and reason in one line, such as `write /data/a: No space left on device (ENOSPC)`.
  public var description: String { "\(call) \(path): \(number)" }
}
