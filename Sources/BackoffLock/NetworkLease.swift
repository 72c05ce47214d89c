public import ReliabilityIO

/// One at a time across machines, on a file system whose locks can't be trusted: a claim that must be renewed.
///
///     let lease = NetworkLease("/mnt/share/build.lease")
///     try await lease.withLease { hold in
///       try await publish(fencedBy: hold.token)
///     }
///
/// Prefer ``BackoffLock`` wherever the file system has locks that work: there the kernel ends a dead holder's lock at once
/// and a holder can't lose it. A lease can be lost while it is held: when the server is silent, the machine sleeps or the
/// process is stopped for longer than ``Configuration/duration``. Then the work is cancelled and ``LeaseLostError`` is
/// thrown, but nothing can stop a write that is under way: let the place where the data is kept turn away old tokens.
///
/// The lease is a directory of its own, made when it is first used. The guide <doc:Leases> has its files and what is
/// promised where.
public final class NetworkLease: Sendable {
  /// How the claim of a holder that is gone is taken over.
  public enum Takeover: Hashable, Sendable {
    /// Under a lock on a file beside the claim, so that two contenders can't both win.
    ///
    /// Exact where `flock` works between all who share the lease. Where the file system has no such lock, acquiring throws
    /// ``LeaseError/Code/guardUnsupported``.
    case guarded
    /// Without a lock where there is none: the claim is renamed, looked at again and put back when it was the wrong one.
    ///
    /// In the instant between, a third may come in, and two holders may overlap: only for work whose every effect is
    /// guarded by the fencing token.
    case mayOverlap
  }

  /// How long a lease counts, and how it is waited for.
  public struct Configuration: Sendable {
    /// How long a claim counts after its last renewal; it is renewed three times as often.
    ///
    /// The same for all who share the lease. Shorter is sooner free after a crash of a machine, longer survives longer
    /// silences of the server. One second at least.
    public var duration: Duration = .seconds(30)

    /// How long to wait for the lease when the caller says nothing; zero tries once.
    public var timeout: Duration = .seconds(30)

    /// How long to wait between attempts, each of which asks the server.
    public var polling: Backoff = .exponential(
      base: .milliseconds(1), cap: .milliseconds(25), jitter: .full)

    /// How a dead holder's claim is taken over.
    public var takeover: Takeover = .guarded

    /// What people are shown as the purpose of the hold; at most 200 characters of it.
    public var label: String?

    /// Told what happens, outside of all locks, on any thread; must not block.
    public var observer: (@Sendable (Event) -> Void)?

    /// Where chance comes from.
    public var randomness: RandomSource = .system

    /// The defaults.
    public init() {}

    /// Checks values that came from outside the code.
    ///
    /// - Throws: A `ConfigurationError` that names the field and the rule it breaks.
    public func validate() throws(ConfigurationError) {
      try check(
        duration >= .seconds(1) && duration <= .seconds(86_400), "duration",
        "must be from one second to a day")
      try check(
        duration.components.attoseconds % 1_000_000_000_000_000 == 0, "duration",
        "must be whole milliseconds")
      try check(timeout >= .zero, "timeout", "must not be negative")
      try polling.validate()
    }
  }

  /// The lease's directory.
  public let path: String

  let configuration: Configuration
  let fileSystem: FileSystem
  let clock: any TimeSource
  let facts: any ProcessFacts
  let figures = LeaseFigures()
  /// Threads of its own: a server that is silent must stop this lease, not the saves of the process.
  let disk = DiskExecutor(threads: 2)

  /// Names a lease; touches nothing yet.
  ///
  /// - Parameters:
  ///   - path: The lease's own directory. It is made when it is missing; the directory it is in must exist.
  ///   - configuration: How long it counts, and how it is waited for. An invalid one is a programmer's error and traps.
  ///   - fileSystem: Where it is.
  ///   - clock: The source of time.
  public convenience init(
    _ path: String, configuration: Configuration = Configuration(), fileSystem: FileSystem = .real,
    clock: any TimeSource = ContinuousClock()
  ) {
    self.init(
      path, configuration: configuration, fileSystem: fileSystem, clock: clock,
      facts: SystemProcessFacts())
  }

  /// With the process facts of another machine: for tests.
  package init(
    _ path: String, configuration: Configuration, fileSystem: FileSystem, clock: any TimeSource,
    facts: any ProcessFacts
  ) {
    requireValid(configuration.validate)
    self.path = path
    self.configuration = configuration
    self.fileSystem = fileSystem
    self.clock = clock
    self.facts = facts
  }

  func tell(_ kind: Event.Kind, owner: Owner? = nil, cause: SystemCallError? = nil) {
    figures.count(kind)
    configuration.observer?(Event(kind: kind, path: path, owner: owner, cause: cause))
  }
}

extension NetworkLease {
  /// Who holds a lease.
  public struct Owner: Hashable, Sendable, CustomStringConvertible {
    /// Its process, by its own machine's or container's count.
    public let process: Int32
    /// Its machine's name.
    public let host: String
    /// What it said it does.
    public let label: String?
    /// When it began to ask for the lease, by its own wall clock.
    public let since: WallTime
    /// Its token; `nil` while it has none yet.
    public let token: FencingToken?

    init(_ record: LeaseRecord) {
      process = record.owner.pid
      host = record.owner.host
      label = record.label
      since = record.since
      token = record.token == 0 ? nil : FencingToken(lease: record.token)
    }

    /// Process, machine and purpose.
    public var description: String {
      "process \(process)\(host.isEmpty ? "" : " on \(host)")\(label.map { " (\($0))" } ?? "")"
    }
  }

  /// Something that happened to a lease.
  public struct Event: Hashable, Sendable {
    /// What happened.
    public enum Kind: String, Hashable, Sendable {
      /// The lease was acquired.
      case acquired
      /// The claim of a process that has certainly ended was removed.
      case brokeDeadClaim
      /// A claim that was not renewed in time was removed.
      case brokeStaleClaim
      /// A takeover without a lock removed a claim that was alive, and put it back or found a new one in its place.
      case disturbedLiveClaim
      /// A renewal failed; it is tried again while the lease lasts.
      case renewalFailed
      /// The lease was lost, and the work is being cancelled.
      case lost
      /// The lease was given back.
      case released
      /// The claim could not be removed: others wait until it is stale.
      case releaseFailed
    }

    /// What happened.
    public let kind: Kind
    /// The lease's directory.
    public let path: String
    /// The other holder, where there is one.
    public let owner: Owner?
    /// The call that failed, where one did.
    public let cause: SystemCallError?
  }
}

extension FencingToken {
  /// The n-th token of a lease.
  ///
  /// Its lower half stays empty: no hold of a lease ever directly follows another.
  init(lease number: UInt64) { self.init(epoch: 1, turn: number << 16) }
}
