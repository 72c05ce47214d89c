public import ReliabilityIO

extension AppendLog {
  /// How the lines of a log are made.
  public enum Format: Hashable, Sendable {
    /// JSON objects with a checksum as the last member, after a header line: the log's own file.
    case checked
    /// Lines of any bytes without newline and NUL, and nothing else: a file that belongs to the user.
    case plain
  }

  /// What is done with a line at the end that was not finished.
  public enum Healing: Hashable, Sendable {
    /// It is saved to a file of its own beside the log, then cut off.
    case cut
    /// A newline is written after it, and nothing is cut: for a file that others append to without the lock.
    ///
    /// The file is opened to append, so lines of others are never overwritten. Positions may then be those of a line
    /// of another that came in between, and a failed sync can't be repaired by a new file: the log refuses
    /// appends until it is opened again.
    case isolate
  }

  /// What may be done with a log.
  public enum Access: Hashable, Sendable {
    /// Everything; the file is made when it is missing, and healed.
    case readWrite
    /// Reading only, without the lock and without a write of any kind.
    case readOnly
  }

  /// What the records mean to the module that writes them; stands in the header.
  public struct Content: Hashable, Sendable {
    /// A word of ASCII letters, digits and `-`, such as `dead-letters`.
    public let name: String
    /// Which version of it.
    ///
    /// A log of a later one is opened read-only.
    public let version: Int

    /// Names a content.
    ///
    /// - Parameters:
    ///   - name: A word of ASCII letters, digits and `-`; anything else is a programmer's error and traps.
    ///   - version: Zero or more.
    public init(_ name: String, version: Int) {
      precondition(Content.isWord(name), "name must be a word of ASCII letters, digits and -")
      precondition(version >= 0, "version must not be negative")
      self.name = name
      self.version = version
    }

    /// Whether a text may name a content; one that was read from a disk may be anything.
    static func isWord(_ name: String) -> Bool {
      !name.isEmpty
        && name.utf8.allSatisfy { byte in
          switch byte {
          case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"):
            true
          default: false
          }
        }
    }
  }

  /// How a log is opened.
  ///
  ///     var options = AppendLog.Options()
  ///     options.content = .init("dead-letters", version: 1)
  ///     options.observer = { event in print(event) }
  ///     let log = try await AppendLog("letters.jsonl", options: options)
  public struct Options: Sendable {
    /// How the lines are made.
    public var format = Format.checked
    /// What is done with an unfinished line.
    public var healing = Healing.cut
    /// What may be done with the log.
    public var access = Access.readWrite
    /// What the records mean; a log of another content is refused.
    ///
    /// Not with ``Format/plain``.
    public var content: Content?
    /// The permissions of a file that is made, or `nil` for `0666` without the bits of the umask.
    public var mode: FileMode?
    /// The most bytes of one record, 64 MiB by default.
    ///
    /// Larger ones are refused, and passed over when read.
    public var maximumRecordSize = 64 << 20
    /// How long an append waits for other processes.
    public var lockTimeout = Duration.seconds(30)
    /// How long the process keeps the lock after an append, so that the next one needs no system call for it.
    public var idleHold = Duration.milliseconds(2)
    /// Is told what was healed, found bad or compacted; called by the task whose call found out, outside locks.
    public var observer: (@Sendable (Event) -> Void)?

    /// The defaults: a log of its own, healed by cutting.
    public init() {}

    /// Checks what comes from outside the code.
    ///
    /// - Throws: `ConfigurationError` with the first field that breaks its rule.
    public func validate() throws(ConfigurationError) {
      try check(maximumRecordSize > 0, "maximumRecordSize", "must be greater than zero")
      try check(maximumRecordSize <= 1 << 30, "maximumRecordSize", "must not be above 1 GiB")
      try check(lockTimeout >= .zero, "lockTimeout", "must not be negative")
      try check(idleHold >= .zero, "idleHold", "must not be negative")
      try check(
        content == nil || format == .checked, "content", "can't be given for a plain file")
    }
  }
}
