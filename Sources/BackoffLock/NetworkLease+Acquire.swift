internal import ReliabilityCore
internal import ReliabilityIO

extension NetworkLease {
  /// Who holds the lease now, for people: by the time this is read, it may be another.
  ///
  /// - Returns: `nil` when nobody does.
  /// - Throws: ``LeaseError`` when the directory or the claim can't be read.
  public nonisolated(nonsending) func owner() async throws(LeaseError) -> Owner? {
    try await disk.run { () throws(LeaseError) in
      let directory: OpenDirectory
      do throws(SystemCallError) {
        directory = try OpenDirectory(self.path, fileSystem: self.fileSystem)
      } catch {
        if error.number == .notFound { return nil }
        throw LeaseError(.callFailed, path: self.path, cause: error)
      }
      guard let claim = try LeaseSession.readClaim(in: directory) else { return nil }
      return Owner(claim.record)
    }
  }

  /// Takes the lease; whoever calls this must keep it and give it back.
  package nonisolated(nonsending) func acquire(timeout: Duration? = nil) async throws -> Hold {
    figures.countAttempt()
    let start = clock.now
    do {
      let hold = try await acquireUncounted(timeout)
      figures.recordWait(start.duration(to: clock.now))
      return hold
    } catch {
      figures.countEnd(error)
      throw error
    }
  }

  private nonisolated(nonsending) func acquireUncounted(_ timeout: Duration?) async throws -> Hold {
    try Task.checkCancellation()
    let timeEnds = clock.now.saturatingAdvanced(by: timeout ?? configuration.timeout)
    let end = min(timeEnds, Deadline.current?.instant ?? timeEnds)
    while true {
      if let hold = try await acquireOnce(until: end) { return hold }
      // The server was silent for longer than a lease counts. The caller may have more time than that.
      if clock.now >= end { throw LeaseError(.timedOut, path: path) }
    }
  }

  /// Contends with a new record.
  ///
  /// - Returns: `nil` when the claim was ours, but not for long enough to be confirmed.
  private nonisolated(nonsending) func acquireOnce(
    until end: ContinuousClock.Instant
  ) async throws -> Hold? {
    let session = try await disk.run { () throws(LeaseError) in
      let session = try LeaseSession.open(self)
      do throws(LeaseError) {
        // Said now, not when a holder has crashed.
        _ = try session.openGuard()
      } catch {
        session.withdraw()
        throw error
      }
      session.clean()
      return session
    }
    do {
      let sent = try await contend(session, until: end)
      return try await settle(session, sent)
    } catch {
      await disk.run { session.withdraw() }
      throw error
    }
  }

  /// Polls until the claim is ours.
  ///
  /// - Returns: An instant before the claim's time was set.
  private nonisolated(nonsending) func contend(
    _ session: LeaseSession, until end: ContinuousClock.Instant
  ) async throws -> Duration {
    var delays = configuration.polling.delays(using: configuration.randomness)
    // To look at the claim costs three more calls, and what there is to see changes slowly.
    let pause = min(configuration.duration / 10, .seconds(1))
    var nextLook = clock.now
    var owner: Owner?
    while true {
      let looking = clock.now >= nextLook
      if looking { nextLook = clock.now.saturatingAdvanced(by: pause) }
      switch try await disk.run({ () throws(LeaseError) in try session.attempt(looking: looking) })
      {
      case .linked(let sent):
        if Task.isCancelled {
          await remove(session, until: clock.now.saturatingAdvanced(by: configuration.duration))
          throw CancellationError()
        }
        return sent
      case .busy(let holder): owner = holder ?? owner
      }
      let delay = min(delays.next() ?? .zero, clock.now.duration(to: end))
      if delay <= .zero, clock.now >= end {
        throw LeaseError(.timedOut, path: path, owner: owner)
      }
      try await clock.wait(for: delay)
    }
  }

  /// Makes a hold of a claim that is ours.
  ///
  /// - Returns: `nil` when its time ended meanwhile, or another took it over.
  private nonisolated(nonsending) func settle(
    _ session: LeaseSession, _ sent: Duration
  ) async throws -> Hold? {
    var term = LeaseTerm(sent: sent, duration: configuration.duration)
    do {
      let number = try await disk.run { () throws(LeaseError) in
        let number = try session.settle()
        // After the number was drawn: whoever took the claim over before drew, or will draw, a higher one.
        let isOurs = try session.calling(session.isOurs)
        return isOurs ? number : nil
      }
      let now = clock.now.sinceOrigin
      guard let number, !term.expire(at: now) else {
        await remove(session, until: .init(sinceOrigin: term.end), isLost: true)
        return nil
      }
      try Task.checkCancellation()
      tell(.acquired)
      return Hold(token: FencingToken(lease: number), session: session, term: term)
    } catch {
      await remove(session, until: .init(sinceOrigin: term.end))
      throw error
    }
  }

  /// Gives the lease back.
  ///
  /// - Returns: `false` when the claim was not ours any more.
  package nonisolated(nonsending) func release(_ hold: Hold) async -> Bool {
    let rest = hold.remaining
    _ = hold.finish()
    return await remove(
      hold.session, until: clock.now.saturatingAdvanced(by: rest), isLost: rest == .zero)
  }

  /// Removes the claim, also in a task that is cancelled.
  ///
  /// - Parameters:
  ///   - session: The contender whose claim it is.
  ///   - end: Until when to wait for the guard.
  ///   - isLost: Whether others may be taking it over.
  @discardableResult
  nonisolated(nonsending) func remove(
    _ session: LeaseSession, until end: ContinuousClock.Instant, isLost: Bool = false
  ) async -> Bool {
    // A task of its own, which a cancellation does not reach: its waits must not end early.
    await Task { await self.removePatiently(session, until: end, isLost: isLost) }.value
  }

  private func removePatiently(
    _ session: LeaseSession, until end: ContinuousClock.Instant, isLost: Bool
  ) async -> Bool {
    var delays = configuration.polling.delays(using: configuration.randomness)
    while true {
      switch await disk.run({ session.remove(mayBeStale: isLost) }) {
      case .removed:
        tell(.released)
        return true
      case .notOurs: return false
      case .failed(let error):
        tell(.releaseFailed, cause: error)
        return true
      case .guardBusy:
        if clock.now >= end {
          tell(.releaseFailed)
          return true
        }
        try? await clock.wait(for: max(.milliseconds(1), delays.next() ?? .zero))
      }
    }
  }
}
