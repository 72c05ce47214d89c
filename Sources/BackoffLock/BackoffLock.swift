public import ReliabilityIO

/// One at a time, across tasks, threads and processes.
public final class BackoffLock: Sendable {
  /// Who may hold the lock together.
  public enum Mode: Hashable, Sendable {
    /// One holder, alone.
    case exclusive
    /// Any number of holders, none of them exclusive.
    case shared
  }

  /// How a lock waits and what it keeps.
  public struct Configuration: Sendable {
    /// How long to wait when the caller says nothing.
    public var timeout: Duration = .seconds(30)

    /// How long the process keeps a lock that nobody holds, so that its next holder needs no system call. Given up at
    /// once when another process asks.
    public var idleHold: Duration = .zero

    /// What people are shown as the purpose of the lock.
    public var label: String?

    /// The defaults.
    public init() {}
  }

  /// The lock file.
  public let path: String
  private let configuration: Configuration
  private let fileSystem: FileSystem
  private let clock: any TimeSource

  /// Names a lock; touches nothing yet.
  public init(
    _ path: String, configuration: Configuration = Configuration(), fileSystem: FileSystem = .real,
    clock: any TimeSource = ContinuousClock()
  ) {
    self.path = path
    self.configuration = configuration
    self.fileSystem = fileSystem
    self.clock = clock
  }

  /// Runs the body while holding the lock.
  public nonisolated(nonsending) func withLock<R: ~Copyable>(
    _ mode: Mode = .exclusive, timeout: Duration? = nil,
    _ body: (FencingToken) async throws -> R
  ) async throws -> R {
    let hold = try await acquire(mode, timeout: timeout)
    defer { release(hold) }
    return try await body(hold.token)
  }
}

/// A lock that was taken and must be given back with `release`, once.
package final class LockHold: Sendable {
  package let token: FencingToken
  private let file: Lock<OpenFile?>

  init(token: FencingToken, file: consuming OpenFile) {
    self.token = token
    self.file = Lock(file)
  }

  func close() { file.withLock { $0 = nil } }
}

extension BackoffLock {
  /// Takes the lock: for modules that hold it across threads of their own.
  package nonisolated(nonsending) func acquire(
    _ mode: Mode = .exclusive, timeout: Duration? = nil
  ) async throws -> LockHold {
    let start = clock.now
    let end = start.saturatingAdvanced(by: timeout ?? configuration.timeout)
    do {
      while true {
        let file = try OpenFile(
          path, [.read, .write, .create, .noFollow], mode: 0o666, fileSystem: fileSystem)
        do throws(SystemCallError) {
          try file.lock(mode == .exclusive ? .exclusive : .shared)
          var counter = [UInt8](repeating: 0, count: 8)
          let read = try [UInt8](capacity: 8) {
            (buffer: inout OutputSpan<UInt8>) throws(SystemCallError) in
            try file.readAll(into: &buffer, at: 0)
          }
          var turn: UInt64 = 0
          for byte in read { turn = turn << 8 | UInt64(byte) }
          turn += 1
          for i in 0..<8 { counter[i] = UInt8(truncatingIfNeeded: turn >> (56 - 8 * UInt64(i))) }
          try file.writeAll(counter.span, at: 0)
          return LockHold(token: FencingToken(epoch: 1, turn: turn << 16), file: file)
        } catch {
          if error.number != .wouldBlock { throw error }
        }
        if clock.now >= end {
          throw LockTimeoutError(path: path, waited: start.duration(to: clock.now))
        }
        try await clock.wait(for: .milliseconds(1))
      }
    } catch let error as SystemCallError {
      throw LockError(path: path, cause: error)
    }
  }

  /// Gives the lock back.
  package func release(_ hold: LockHold) { hold.close() }
}
