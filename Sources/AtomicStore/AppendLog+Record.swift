extension AppendLog {
  /// A place between two records of a log.
  ///
  /// Good until the log is compacted; ``AppendLog/records(from:)`` refuses one of another generation. Stays good across
  /// restarts, so it may be saved.
  public struct Position: Hashable, Sendable, Comparable, Codable {
    /// How often the log had been compacted, from 1; always 0 in a plain file.
    public let generation: UInt64
    /// Bytes from the beginning of the file.
    public let offset: Int64

    /// Makes a position from its parts, as they were stored.
    public init(generation: UInt64, offset: Int64) {
      self.generation = generation
      self.offset = offset
    }

    /// Whether this place comes before the other one.
    public static func < (lhs: Position, rhs: Position) -> Bool {
      (lhs.generation, lhs.offset) < (rhs.generation, rhs.offset)
    }
  }

  /// What an append has achieved.
  public struct Receipt: Hashable, Sendable {
    /// Where the first record begins.
    public let start: Position
    /// Where the next record will begin.
    public let end: Position
    /// Whether the records survive a power cut from now on.
    public let isDurable: Bool
  }

  /// One record read back.
  public struct Record: Sendable {
    /// The bytes that were appended, without checksum; a part of a larger piece of the file, so copy what is kept.
    public let payload: ArraySlice<UInt8>
    /// Where it begins.
    public let position: Position
    /// Where the next one begins: go on from here.
    public let next: Position
  }
}
