public import ReliabilityCore

/// What kind of failure a child process met.
///
/// The set is open: a rule of your own may answer with a kind of your own, few and never with an identifier in it.
///
///     if error.failure == .memoryExhaustion { quality = quality.lower }
public struct ProcessFailure: RawRepresentable, Hashable, Sendable {
  /// The word for the failure, as it appears in reports and metrics.
  public let rawValue: String

  /// Makes a kind from a word in lower snake case.
  public init(rawValue: String) { self.rawValue = rawValue.isEmpty ? "unknown" : rawValue }

  /// A limit of time passed: total, stall, startup, or the caller's deadline.
  public static let processTimeout = Self(rawValue: "process_timeout")
  /// Memory ran out, or the memory limit was reached.
  public static let memoryExhaustion = Self(rawValue: "memory_exhaustion")
  /// The network, or a server, failed.
  public static let networkError = Self(rawValue: "network_error")
  /// The disk, a file, or a permission.
  public static let fileSystemError = Self(rawValue: "file_system_error")
  /// None of these.
  public static let unknown = Self(rawValue: "unknown")

  /// The category of errors of this kind.
  public var category: ErrorCategory {
    switch self {
    case .processTimeout: .timeout
    case .memoryExhaustion: .memoryExhaustion
    case .networkError: .network
    case .fileSystemError: .fileSystem
    default: .process
    }
  }
}

extension ProcessFailure: CustomStringConvertible {
  /// The word itself.
  public var description: String { rawValue }
}
