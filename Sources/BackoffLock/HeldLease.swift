internal import ReliabilityCore
internal import ReliabilityIO

extension NetworkLease {
  /// A lease while it is held.
  ///
  ///     try await lease.withLease { hold in
  ///       for page in pages {
  ///         try hold.check()
  ///         try await store(page, fencedBy: hold.token)
  ///       }
  ///     }
  public final class Hold: Sendable {
    /// A number higher than that of every holder before: whoever keeps the data turns away lower ones.
    public let token: FencingToken

    let session: LeaseSession
    private let term: Lock<LeaseTerm>
    private let cancellation = Lock(Cancellation.none)

    private enum Cancellation {
      case none
      case ofBody(@Sendable () -> Void)
      case lost
    }

    init(token: FencingToken, session: LeaseSession, term: LeaseTerm) {
      self.token = token
      self.session = session
      self.term = Lock(term)
    }

    private var clock: any TimeSource { session.lease.clock }

    /// Whether the lease is held at this instant.
    ///
    /// Asks the clock, not the server: it says no as soon as others may say yes, also when nothing else in the process
    /// had a chance to run.
    public var isHeld: Bool {
      let now = clock.now.sinceOrigin
      return term.withLock { $0.isHeld(at: now) }
    }

    /// How long the lease is held if it is not renewed any more; zero when it was lost.
    public var remaining: Duration {
      let now = clock.now.sinceOrigin
      return term.withLock { $0.isHeld(at: now) ? $0.end - now : .zero }
    }

    /// Throws when the lease is not held any more.
    ///
    /// - Throws: ``LeaseLostError``.
    public func check() throws(LeaseLostError) {
      let now = clock.now.sinceOrigin
      let reason: LeaseLostError.Reason? = term.withLock { term in
        if case .lost(let reason) = term.state { return reason }
        return term.isHeld(at: now) ? nil : .expired
      }
      if let reason { throw LeaseLostError(reason, path: session.lease.path, token: token) }
    }
  }
}

extension NetworkLease.Hold {
  /// Has the body cancelled when the lease is lost, at once if it was.
  func onLoss(_ cancel: @escaping @Sendable () -> Void) {
    let isLost = cancellation.withLock { cancellation in
      if case .lost = cancellation { return true }
      cancellation = .ofBody(cancel)
      return false
    }
    if isLost { cancel() }
  }

  /// The body has ended.
  ///
  /// - Returns: Why the lease was lost, or `nil` when it was held to the end.
  func finish() -> LeaseLostError.Reason? {
    let now = clock.now.sinceOrigin
    let reason = term.withLock { $0.finish(at: now) }
    if reason != nil { lose() }
    return reason
  }

  /// Keeps the lease until the task is cancelled or the lease is lost.
  func keep() async {
    await withTaskGroup(of: Void.self) { group in
      group.addTask { await self.renewAgainAndAgain() }
      // Apart from the renewals: a server that does not answer must not hide that the time is over.
      group.addTask { await self.watchTheEnd() }
      await group.next()
      group.cancelAll()
    }
  }

  private func renewAgainAndAgain() async {
    while let next = term.withLock({ $0.state == .held ? $0.nextRenewal : nil }) {
      do { try await clock.wait(until: .init(sinceOrigin: next)) } catch { return }
      let sent = clock.now.sinceOrigin
      let session = session
      let renewal = await session.lease.disk.run { session.renew() }
      let now = clock.now.sinceOrigin
      let isLost = term.withLock { term in
        switch renewal {
        case .renewed: term.renewed(sent: sent, at: now)
        case .failed: term.renewalFailed(at: now)
        case .gone: term.takenOver()
        }
      }
      if case .failed(let error) = renewal { session.lease.tell(.renewalFailed, cause: error) }
      if isLost { lose() }
    }
  }

  private func watchTheEnd() async {
    while let end = term.withLock({ $0.state == .held ? $0.end : nil }) {
      do { try await clock.wait(until: .init(sinceOrigin: end)) } catch { return }
      let now = clock.now.sinceOrigin
      if term.withLock({ $0.expire(at: now) }) { lose() }
    }
  }

  private func lose() {
    let before = cancellation.withLock { cancellation in
      let before = cancellation
      cancellation = .lost
      return before
    }
    if case .lost = before { return }
    if case .ofBody(let cancel) = before { cancel() }
    session.lease.tell(.lost)
  }
}
