extension Backoff {
  /// How a delay grows from attempt to attempt.
  ///
  /// A curve takes any values, so that it can be built from a flag or a file; the ``Backoff`` that it becomes part
  /// of checks them.
  public struct Curve: Hashable, Sendable {
    /// The shapes, for those who write a backoff to a file.
    package enum Kind: Hashable, Sendable {
      case constant(Duration)
      case linear(base: Duration, step: Duration)
      case exponential(base: Duration, factor: Double)
      case fibonacci(base: Duration)
      case list([Duration])
    }

    package let kind: Kind

    package init(kind: Kind) { self.kind = kind }

    /// The same delay after every attempt.
    public static func constant(_ delay: Duration) -> Curve { Curve(kind: .constant(delay)) }

    /// `base`, then `step` more each time.
    public static func linear(base: Duration, step: Duration) -> Curve {
      Curve(kind: .linear(base: base, step: step))
    }

    /// `base`, then `factor` times as much each time.
    public static func exponential(base: Duration, factor: Double) -> Curve {
      Curve(kind: .exponential(base: base, factor: factor))
    }

    /// `base` times 1, 1, 2, 3, 5, 8 and so on.
    public static func fibonacci(base: Duration) -> Curve { Curve(kind: .fibonacci(base: base)) }

    /// These delays in this order; after them the last one repeats.
    public static func list(_ delays: [Duration]) -> Curve { Curve(kind: .list(delays)) }
  }
}

extension Backoff.Curve {
  /// The delay before a retry, in nanoseconds, at most about `limit`.
  ///
  /// Total: settings that ``validate()`` refuses give some delay between zero and the limit, never a trap.
  ///
  /// - Parameter retry: 1 for the first.
  func nanoseconds(retry: Int, limit: Int64) -> Int64 {
    switch kind {
    case .constant(let delay):
      return delay.wholeNanoseconds
    case .linear(let base, let step):
      let (growth, overflow) = step.wholeNanoseconds.multipliedReportingOverflow(
        by: Int64(retry - 1))
      let (sum, overflow2) = base.wholeNanoseconds.addingReportingOverflow(growth)
      return overflow || overflow2 ? limit : sum
    case .exponential(let base, let factor):
      let base = base.wholeNanoseconds
      guard base > 0, factor > 1 else { return base }
      // Compared in `Double`, where too large is infinity: converting such a value to an integer would trap.
      let product = Double(base) * factor.raised(to: retry - 1)
      return product < Double(limit) ? Int64(product.rounded()) : limit
    case .fibonacci(let base):
      return Self.fibonacci(base: base.wholeNanoseconds, retry: retry, limit: limit)
    case .list(let delays):
      return delays.isEmpty ? 0 : delays[min(retry, delays.count) - 1].wholeNanoseconds
    }
  }

  /// Ends after 92 steps at the latest, where the numbers leave `Int64`.
  private static func fibonacci(base: Int64, retry: Int, limit: Int64) -> Int64 {
    guard base > 0 else { return 0 }
    var (current, next) = (base, base)
    for _ in 1..<max(2, retry) where retry > 1 {
      if current >= limit { return limit }
      let (sum, overflow) = current.addingReportingOverflow(next)
      (current, next) = (next, overflow ? .max : sum)
    }
    return current
  }

  /// The first delay, when there is one.
  var first: Duration? {
    switch kind {
    case .constant(let delay): delay
    case .linear(let base, _), .exponential(let base, _), .fibonacci(let base): base
    case .list(let delays): delays.first
    }
  }

  /// The name of the field that holds the first delay.
  var firstField: String {
    switch kind {
    case .constant: "delay"
    case .linear, .exponential, .fibonacci: "base"
    case .list: "delays"
    }
  }

  /// The longest delay of a curve that does not grow for ever.
  var largestNanoseconds: Int64? {
    switch kind {
    case .constant(let delay): delay.wholeNanoseconds
    case .list(let delays): delays.max()?.wholeNanoseconds
    case .linear, .exponential, .fibonacci: nil
    }
  }

  func validate() throws(ConfigurationError) {
    switch kind {
    case .constant(let delay):
      try check(delay >= .zero, "delay", "must not be negative")
    case .linear(let base, let step):
      try check(base > .zero, "base", "must be greater than zero")
      try check(step >= .zero, "step", "must not be negative")
    case .exponential(let base, let factor):
      try check(base > .zero, "base", "must be greater than zero")
      try check(factor.isFinite && factor >= 1, "factor", "must be finite and at least 1")
    case .fibonacci(let base):
      try check(base > .zero, "base", "must be greater than zero")
    case .list(let delays):
      try check(!delays.isEmpty, "delays", "must not be empty")
      for (index, delay) in delays.enumerated() {
        try check(delay >= .zero, "delays[\(index)]", "must not be negative")
      }
    }
  }
}

extension Duration {
  /// Whole nanoseconds, zero at least; a positive duration is one nanosecond at least.
  fileprivate var wholeNanoseconds: Int64 {
    self > .zero ? Swift.max(1, nanoseconds) : 0
  }
}

extension Double {
  /// This number to a whole power, by squaring: 63 steps at most, infinity when too large.
  fileprivate func raised(to exponent: Int) -> Double {
    var (result, square, rest) = (1.0, self, exponent)
    while rest > 0 {
      if rest & 1 == 1 { result *= square }
      square *= square
      rest >>= 1
    }
    return result
  }
}
