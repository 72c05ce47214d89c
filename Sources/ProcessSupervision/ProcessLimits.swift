public import ReliabilityCore

/// How long a child process may run and how much it may use.
///
///     var limits = ProcessLimits(total: .seconds(3600), stall: .seconds(300))
///     limits.memory = .sampled(bytes: 2048 << 20)
///     limits.output = 100 << 20
///
/// Every limit is off when `nil`. `Deadline.current` shortens the total.
public struct ProcessLimits: Hashable, Sendable {
  /// The longest time from start to end, greater than zero.
  public var total: Duration?

  /// The longest time without output, growth of the watched file or a progress mark, greater than zero.
  ///
  /// Time in which the child waits because nobody takes the lines that were read does not count.
  public var stall: Duration?

  /// The longest time from start to the first output or growth of the watched file, greater than zero.
  public var startup: Duration?

  /// How much memory the child and its descendants may use.
  public var memory: Memory?

  /// How many bytes the child may write to its two outputs together, greater than zero.
  public var output: Int64?

  /// Makes limits; what is `nil` is not limited.
  ///
  /// - Parameters:
  ///   - total: The longest time from start to end.
  ///   - stall: The longest time without a sign of progress.
  ///   - startup: The longest time to the first sign.
  ///   - memory: How much memory may be used.
  ///   - output: How many bytes may be written to the two outputs.
  public init(
    total: Duration? = nil, stall: Duration? = nil, startup: Duration? = nil,
    memory: Memory? = nil, output: Int64? = nil
  ) {
    self.total = total
    self.stall = stall
    self.startup = startup
    self.memory = memory
    self.output = output
  }

  /// A limit of memory and how it is kept.
  public struct Memory: Hashable, Sendable {
    /// The limit in bytes, greater than zero.
    public var bytes: Int64
    /// Whether the kernel refuses address space beyond the limit.
    public var limitsAddressSpace: Bool

    /// The resident memory of the child and its descendants together, looked at with every sample.
    ///
    /// A process that takes memory very fast can pass the limit between two samples. Memory that several of the processes share
    /// counts for each.
    public static func sampled(bytes: Int64) -> Memory {
      Memory(bytes: bytes, limitsAddressSpace: false)
    }

    /// The address space of each process, refused by the kernel beyond the limit (RLIMIT_AS), besides the samples.
    ///
    /// Cannot be passed, but breaks programs that reserve more than they use, as Java, Go, Node.js and sanitizers do. Linux only:
    /// elsewhere the launch fails.
    public static func addressSpace(bytes: Int64) -> Memory {
      Memory(bytes: bytes, limitsAddressSpace: true)
    }
  }

  /// Checks values that came from outside the code.
  ///
  /// - Throws: A `ConfigurationError` that names the field and the rule it breaks.
  public func validate() throws(ConfigurationError) {
    if let total { try check(total > .zero, "limits.total", "must be greater than zero") }
    if let stall { try check(stall > .zero, "limits.stall", "must be greater than zero") }
    if let startup { try check(startup > .zero, "limits.startup", "must be greater than zero") }
    if let memory { try check(memory.bytes > 0, "limits.memory", "must be greater than zero") }
    if let output { try check(output > 0, "limits.output", "must be greater than zero") }
  }
}
