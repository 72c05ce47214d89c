internal import ReliabilityCore

/// What a check found: well or not, maybe with a number and a sentence.
///
///     HealthCheck("disk:free") {
///       let free = try await freeBytes()
///       return free < 1 << 30 ? .warn("less than 1 GiB", observing: Double(free), unit: "bytes")
///         : .pass(observing: Double(free), unit: "bytes")
///     }
public struct HealthReading: Hashable, Sendable {
  /// The longest text that is kept: what is behind it is cut off, and replaced by `…`.
  public static let maximumText = 1_000

  /// One of ``HealthStatus/pass``, ``HealthStatus/warn`` and ``HealthStatus/fail``.
  public let status: HealthStatus
  /// What was measured, if anything; NaN and infinity are shown as unknown.
  public let observedValue: Double?
  /// The unit of what was measured: `ms`, `bytes`, `connections`.
  public let observedUnit: String?
  /// What is wrong, for a person.
  ///
  /// It appears in every document: nothing secret belongs here.
  public let output: String?

  private init(_ status: HealthStatus, _ output: String?, _ value: Double?, _ unit: String?) {
    self.status = status
    self.output = output.map(Self.bounded)
    observedValue = value
    observedUnit = unit.map(Self.bounded)
  }

  private static func bounded(_ text: String) -> String {
    text.utf8.count <= maximumText ? text : String(text.prefix(maximumText)) + "…"
  }

  /// All is well.
  public static let pass = HealthReading(.pass, nil, nil, nil)

  /// All is well, and this was measured.
  ///
  /// - Parameters:
  ///   - value: What was measured.
  ///   - unit: Its unit, if it has one.
  public static func pass(observing value: Double, unit: String? = nil) -> HealthReading {
    HealthReading(.pass, nil, value, unit)
  }

  /// It works, but somebody should look at it.
  ///
  /// - Parameters:
  ///   - output: What is wrong, for a person; at most ``maximumText`` characters are kept.
  ///   - value: What was measured, if anything.
  ///   - unit: Its unit, if it has one.
  public static func warn(
    _ output: String, observing value: Double? = nil, unit: String? = nil
  ) -> HealthReading {
    HealthReading(.warn, output, value, unit)
  }

  /// It does not work.
  ///
  /// - Parameters:
  ///   - output: What is wrong, for a person; at most ``maximumText`` characters are kept.
  ///   - value: What was measured, if anything.
  ///   - unit: Its unit, if it has one.
  public static func fail(
    _ output: String, observing value: Double? = nil, unit: String? = nil
  ) -> HealthReading {
    HealthReading(.fail, output, value, unit)
  }
}

/// How a check ended.
enum CheckOutcome: Sendable {
  case reading(HealthReading)
  /// It threw.
  case failed(any Error)
  /// It did not end in time.
  case timedOut
  /// It was cancelled, by the monitor or by itself, and says nothing.
  case cancelled

  /// The status it stands for; `nil` when it says nothing.
  var status: HealthStatus? {
    switch self {
    case .reading(let reading): reading.status
    case .failed, .timedOut: .fail
    case .cancelled: nil
    }
  }

  /// What is wrong, for a person.
  ///
  /// Of an error only what it says to people itself, or the name of its type: its description may hold a password.
  func output(limit: Duration) -> String? {
    switch self {
    case .reading(let reading): return reading.output
    case .timedOut: return "no answer within \(limit)"
    case .cancelled: return nil
    case .failed(let error):
      guard let error = error as? any ClassifiedError else { return "\(type(of: error))" }
      return error.userMessage ?? "\(type(of: error)): \(error.category.rawValue)"
    }
  }
}
