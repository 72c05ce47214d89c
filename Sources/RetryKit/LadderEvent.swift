public import ReliabilityCore

/// Something that happened on a ladder, for its observer.
///
///     ladder = FallbackLadder(name: "quality", rungs) { event in
///       print(event)  // quality: 720p failed (memoryExhaustion), going on with 480p
///     }
///
/// A call that its first rung serves has no event.
public struct LadderEvent: Sendable, Hashable {
  /// What happened.
  public enum Kind: Hashable, Sendable {
    /// The rung failed with an error of this category, and a lower one is tried.
    case steppedDown(ErrorCategory)
    /// The rung served although it is not the first.
    case served
    /// The rung failed with an error that no lower rung would help against; it is thrown.
    case failed(ErrorCategory)
    /// No rung served.
    case exhausted
  }

  /// What happened.
  public let kind: Kind
  /// The name of the ladder.
  public let ladder: String
  /// The name of the rung.
  public let rung: String
  /// The name of the next rung, when there is one.
  public let next: String?
}

extension LadderEvent: CustomStringConvertible {
  /// One line for a log.
  public var description: String {
    switch kind {
    case .steppedDown(let category):
      "\(ladder): \(rung) failed (\(category)), going on with \(next ?? "nothing")"
    case .served: "\(ladder): served by \(rung)"
    case .failed(let category): "\(ladder): \(rung) failed for good (\(category))"
    case .exhausted: "\(ladder): no rung served, the last was \(rung)"
    }
  }
}
