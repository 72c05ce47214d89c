extension ConcurrencyLimiter {
  /// Why a limit changed.
  public enum LimitCause: String, Hashable, Sendable {
    /// By what calls said; also the beginning and the end of a probe.
    case adapted
    /// By `resize(to:)`.
    case resized
  }

  /// Something worth telling about a limiter.
  ///
  ///     let limiter = ConcurrencyLimiter(.adaptive, name: "search", observer: { print($0) })
  ///     limiter.resize(to: 30)  // search: limit 20 -> 30 (resized)
  ///
  /// Changes of the limit are told once and in order, on the thread of a caller or in a task; when two threads change it at
  /// the same time, one of them tells both.
  public struct Event: Sendable, CustomStringConvertible {
    /// What happened.
    public enum Kind: Sendable {
      /// How many may be in flight has changed.
      case limitChanged(from: Int, to: Int, cause: LimitCause)
      /// A call was not begun, or waited in vain.
      case refused(ConcurrencyLimitedError)
    }

    /// The limiter's name.
    public let limiter: String

    /// What happened.
    public let kind: Kind

    /// The event in one line.
    public var description: String {
      switch kind {
      case .limitChanged(let from, let to, let cause):
        "\(limiter): limit \(from) -> \(to) (\(cause.rawValue))"
      case .refused(let error): "\(error)"
      }
    }
  }
}
