internal import ErrorContext
internal import Foundation
internal import ReliabilityCore

extension Classification {
  /// What a code of `NSCocoaErrorDomain` means, `nil` for one that is not about files, formats or connections.
  ///
  /// - Parameter underlying: A code that says no more than "could not read" or "could not write" is decided by the error
  ///   under it.
  init?(cocoaErrorCode number: Int, underlying: [any Error]) {
    let code = CocoaError.Code(rawValue: number)
    switch code {
    case .userCancelled:
      self = .cancelled
    case .fileReadUnknown, .fileWriteUnknown:
      if let cause = underlying.first {
        self = ErrorClassifier.foundation.classify(cause)
      } else {
        self.init(.fileSystem, .notRetryable)
      }
    case .fileWriteOutOfSpace:
      self.init(
        .fileSystem, .notRetryable, userMessage: "There is no space left on the disk.",
        suggestedActions: ["Free some space, or choose another folder."])
    case .fileReadNoPermission, .fileWriteNoPermission, .fileWriteVolumeReadOnly:
      self.init(
        .fileSystem, .notRetryable, userMessage: "Writing or reading is not permitted there.",
        suggestedActions: ["Check the permissions, or choose another folder."])
    case .fileLocking:
      self.init(.fileSystem, .retryable())
    default:
      switch number {
      case 4, 256...511, 512...1023:  // the rest of the ranges Foundation keeps for file errors
        self.init(.fileSystem, .notRetryable)
      case 1024...2047, 3584...3839, 3840...4095, 4864...4991:
        // validation, unsupported features, property lists and JSON, archives
        self.init(.validation, .notRetryable)
      case 4096...4224:  // connections to helper processes
        self.init(.dependency, .retryable())
      default:
        return nil
      }
    }
  }
}
