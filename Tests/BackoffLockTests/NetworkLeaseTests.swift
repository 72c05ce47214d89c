import ReliabilityIO
import ReliabilityTestSupport
import ReliabilityTesting
import Testing

@testable import BackoffLock

@Suite(.timeLimit(.minutes(10))) struct NetworkLeaseTests {
  @Test func theBodyRunsWithALeaseAndNothingButGuardAndTokenStays() async throws {
    let scene = LeaseScene()
    let lease = scene.lease(.alpha) { $0.label = "publish" }
    let owner = try await lease.withLease { hold in
      #expect(hold.isHeld)
      #expect(hold.remaining == .seconds(30))
      try hold.check()
      return try await lease.owner()
    }
    #expect(owner?.process == 11)
    #expect(owner?.host == "alpha")
    #expect(owner?.label == "publish")
    #expect(owner?.token == FencingToken(epoch: 1, turn: 1 << 16))
    #expect(scene.names == ["guard", "token.00000000000000000001"])
    #expect(scene.kinds == [.acquired, .released])
    #expect(try await lease.owner() == nil)
    #expect(scene.server.openDescriptors == 0)
  }

  @Test func tokensGrowFromHolderToHolder() async throws {
    let scene = LeaseScene()
    var tokens: [FencingToken] = []
    for identity in [ProcessIdentity.alpha, .beta, .alpha, .beta] {
      tokens.append(try await scene.lease(identity).withLease { $0.token })
    }
    #expect(tokens == tokens.sorted() && Set(tokens).count == 4)
    #expect(!tokens[1].directlyFollows(tokens[0]))
    #expect(scene.names == ["guard", "token.00000000000000000004"])
  }

  @Test func aHeldLeaseIsRefusedWithItsOwner() async throws {
    let scene = LeaseScene()
    let hold = try await scene.lease(.alpha).acquire()
    let error = await #expect(throws: LeaseError.self) {
      try await scene.lease(.beta).acquire(timeout: .zero)
    }
    #expect(error?.code == .timedOut)
    #expect(error?.owner?.host == "alpha")
    #expect(error?.userMessage?.contains("process 11 on alpha") == true)
    #expect(await scene.lease(.alpha).release(hold))
    #expect(scene.names == ["guard", "token.00000000000000000001"])
  }

  @Test func aWaitingContenderGetsTheLeaseWhenItIsGivenBack() async throws {
    let scene = LeaseScene()
    let first = scene.lease(.alpha)
    let hold = try await first.acquire()
    let waiter = Task { try await scene.lease(.beta).withLease { $0.token } }
    await scene.clock.nextScheduled()
    #expect(await first.release(hold))
    await scene.clock.advanceToNext()
    #expect(try await waiter.value > hold.token)
  }

  @Test func aContenderThatIsCancelledLeavesNothing() async throws {
    let scene = LeaseScene()
    let hold = try await scene.lease(.alpha).acquire()
    let waiter = Task { try await scene.lease(.beta).acquire() }
    await scene.clock.nextScheduled()
    waiter.cancel()
    await #expect(throws: CancellationError.self) { try await waiter.value }
    #expect(scene.names == ["claim", "guard", "token.00000000000000000001"])
    #expect(hold.isHeld)
  }

  // MARK: Lost replies and silent servers

  @Test(arguments: [ErrorNumber.exists, .timedOut, .inputOutput])
  func aLinkWhoseReplyWasLostCounts(number: ErrorNumber) async throws {
    let scene = LeaseScene()
    scene.server.set { $0.lostLinkReply = number }
    let hold = try await scene.lease(.alpha).acquire(timeout: .zero)
    #expect(hold.isHeld)
    #expect(scene.names == ["claim", "guard", "token.00000000000000000001"])
  }

  @Test func renewalsKeepTheLeaseForAsLongAsTheBodyRuns() async throws {
    let scene = LeaseScene()
    try await scene.lease(.alpha).withLease { hold in
      for _ in 0..<20 {
        let before = scene.server.touches
        await scene.clock.scheduled(atLeast: 2)
        scene.clock.advance(by: .seconds(10))
        while scene.server.touches == before { await Task.yield() }
        while hold.remaining < .seconds(30) { await Task.yield() }
      }
      let error = await #expect(throws: LeaseError.self) {
        try await scene.lease(.beta).acquire(timeout: .zero)
      }
      #expect(error?.code == .timedOut)
      #expect(hold.isHeld)
    }
    #expect(scene.kinds == [.acquired, .released])
  }

  @Test func failingRenewalsLoseTheLeaseWhenItsTimeIsOverAndCancelTheBody() async throws {
    let scene = LeaseScene()
    scene.server.set { _ in }
    let error = await #expect(throws: LeaseLostError.self) {
      try await scene.lease(.alpha).withLease { hold in
        scene.server.set { $0.touch = .inputOutput }
        await scene.clock.scheduled(atLeast: 2)
        while !Task.isCancelled {
          scene.clock.advance(by: .milliseconds(500))
          await Task.yield()
        }
        #expect(!hold.isHeld && hold.remaining == .zero)
        #expect(throws: LeaseLostError.self) { try hold.check() }
        try Task.checkCancellation()
      }
    }
    #expect(error?.reason == .expired)
    #expect(error?.cause == nil)
    #expect(error?.retryability == .retryable())
    #expect(scene.kinds.contains(.renewalFailed))
    #expect(scene.kinds.contains(.lost))
    // Ours still: nobody needs to wait until it is stale.
    #expect(scene.names == ["guard", "token.00000000000000000001"])
  }

  @Test func aServerThatDoesNotAnswerCannotHideThatTheTimeIsOver() async throws {
    let scene = LeaseScene()
    let isSilent = Guarded(false)
    let touching = Guarded(0)
    let error = await #expect(throws: LeaseLostError.self) {
      try await scene.lease(.alpha).withLease { hold in
        scene.server.set {
          $0.beforeTouch = {
            touching.withLock { $0 += 1 }
            while isSilent.withLock({ $0 }) { pause() }
          }
        }
        isSilent.withLock { $0 = true }
        defer { isSilent.withLock { $0 = false } }
        await scene.clock.scheduled(atLeast: 2)
        scene.clock.advance(by: .seconds(10))
        while touching.withLock({ $0 }) == 0 { await Task.yield() }
        scene.clock.advance(by: .seconds(20))
        #expect(!hold.isHeld)
        while !Task.isCancelled { await Task.yield() }
        throw Unfinished()
      }
    }
    #expect(error?.reason == .expired)
    #expect(error?.cause is Unfinished)
  }

  @Test func aMachineThatSleptKnowsAtOnceThatItsLeaseIsLost() async throws {
    let scene = LeaseScene()
    let error = await #expect(throws: LeaseLostError.self) {
      try await scene.lease(.alpha).withLease { hold in
        await scene.clock.scheduled(atLeast: 2)
        scene.clock.advance(by: .seconds(3600))
        #expect(!hold.isHeld)
        return 7
      }
    }
    #expect(error?.reason == .expired)
  }

  // MARK: Taking over

  @Test func aStaleClaimIsTakenOverOnceAndItsHolderRemovesNothing() async throws {
    let scene = LeaseScene()
    let first = scene.lease(.alpha)
    let lost = try await first.acquire()
    scene.clock.advance(by: .seconds(32))
    #expect(!lost.isHeld)
    let early = await #expect(throws: LeaseError.self) {
      try await scene.lease(.beta).acquire(timeout: .zero)
    }
    #expect(early?.code == .timedOut)
    scene.clock.advance(by: .seconds(1))
    let hold = try await scene.lease(.beta).acquire(timeout: .zero)
    #expect(hold.token > lost.token)
    #expect(await first.release(lost) == false)
    #expect(scene.names.contains("claim"))
    #expect(scene.kinds.contains(.brokeStaleClaim))
    #expect(await scene.lease(.beta).release(hold))
    #expect(scene.names == ["guard", "token.00000000000000000002"])
  }

  @Test func ofManyContendersForAStaleClaimOneWins() async throws {
    for round in 0..<20 {
      let scene = LeaseScene()
      _ = try await scene.lease(.alpha).acquire()
      scene.clock.advance(by: .seconds(40))
      let holds = await withTaskGroup(of: NetworkLease.Hold?.self) { group in
        for contender in 0..<8 {
          let identity = KnownProcesses.on("machine \(contender)", pid: 5)
          group.addTask { try? await scene.lease(identity).acquire(timeout: .zero) }
        }
        var holds: [NetworkLease.Hold] = []
        for await hold in group { if let hold { holds.append(hold) } }
        return holds
      }
      #expect(holds.count == 1, "round \(round)")
      #expect(holds.allSatisfy { $0.token.turn == 2 << 16 })
      #expect(scene.names == ["claim", "guard", "token.00000000000000000002"])
      #expect(!scene.kinds.contains(.disturbedLiveClaim))
    }
  }

  @Test func aHolderWhoseClaimHasGoneLosesTheLeaseAtTheNextRenewal() async throws {
    let scene = LeaseScene()
    let error = await #expect(throws: LeaseLostError.self) {
      try await scene.lease(.alpha).withLease { _ in
        try RealFileSystem().unlink(scene.path + "/claim", in: nil)
        await scene.clock.scheduled(atLeast: 2)
        scene.clock.advance(by: .seconds(10))
        while !Task.isCancelled { await Task.yield() }
      }
    }
    #expect(error?.reason == .takenOver)
    #expect(scene.names == ["guard", "token.00000000000000000001"])
  }

  @Test func aClaimThatGoesUnnoticedIsNoticedAtTheEnd() async throws {
    let scene = LeaseScene()
    let error = await #expect(throws: LeaseLostError.self) {
      try await scene.lease(.alpha).withLease { _ in
        try RealFileSystem().unlink(scene.path + "/claim", in: nil)
      }
    }
    #expect(error?.reason == .takenOver)
  }

  @Test func withoutLocksALeaseThrowsUnlessOverlapsAreAllowed() async throws {
    let scene = LeaseScene()
    scene.server.set { $0.locks = .noLocks }
    let error = await #expect(throws: LeaseError.self) {
      try await scene.lease(.alpha).acquire()
    }
    #expect(error?.code == .guardUnsupported)
    #expect(scene.names == ["guard"])
    let allowed = scene.lease(.alpha) { $0.takeover = .mayOverlap }
    let hold = try await allowed.acquire()
    scene.clock.advance(by: .seconds(40))
    let next = try await scene.lease(.beta) { $0.takeover = .mayOverlap }.acquire()
    #expect(next.token > hold.token)
    #expect(await allowed.release(hold) == false)
    #expect(scene.names.contains("claim"))
  }

  @Test func withoutLocksALiveClaimThatWasCarriedOffIsPutBack() async throws {
    let scene = LeaseScene()
    let change: @Sendable (inout NetworkLease.Configuration) -> Void = { $0.takeover = .mayOverlap }
    scene.server.set { $0.locks = .noLocks }
    _ = try await scene.lease(.alpha, change).acquire()
    scene.clock.advance(by: .seconds(40))
    // Between the judgement and the rename another takes over.
    let fresh = Guarded<String?>(nil)
    scene.server.set {
      $0.beforeRename = {
        if fresh.withLock({ $0 }) != nil { return }
        fresh.withLock { $0 = "made" }
        try? RealFileSystem().unlink(scene.path + "/claim", in: nil)
        try? scene.write("fresh", to: "claim")
      }
    }
    let error = await #expect(throws: LeaseError.self) {
      try await scene.lease(.beta, change).acquire(timeout: .zero)
    }
    #expect(error?.code == .timedOut)
    #expect(scene.kinds.contains(.disturbedLiveClaim))
    let size = try RealFileSystem().status(of: scene.path + "/claim", in: nil, followingLink: false)
      .size
    #expect(size == 5)
  }

  @Test func aHolderWithAnotherDurationIsRefusedUnlessItIsGone() async throws {
    let scene = LeaseScene()
    _ = try await scene.lease(.alpha).acquire()
    let other = scene.lease(.beta) { $0.duration = .seconds(10) }
    let error = await #expect(throws: LeaseError.self) { try await other.acquire() }
    #expect(error?.code == .otherDuration)
    #expect(error?.owner?.host == "alpha")
    scene.clock.advance(by: .seconds(20))
    await #expect(throws: LeaseError.self) { try await other.acquire(timeout: .zero) }
    // Stale by the longer of the two.
    scene.clock.advance(by: .seconds(14))
    _ = try await other.acquire(timeout: .zero)
  }

  @Test func aDeadHoldersClaimIsTakenOverAtOnce() async throws {
    let scene = LeaseScene()
    let before = try await scene.lease(KnownProcesses.on("alpha", pid: 9)).acquire()
    let hold = try await scene.lease(.alpha).acquire(timeout: .zero)
    #expect(hold.token > before.token)
    #expect(scene.kinds == [.acquired, .brokeDeadClaim, .acquired])
  }
}

struct Unfinished: Error {}

/// A value that several tasks and threads share.
final class Guarded<Value: Sendable>: Sendable {
  private let value: Lock<Value>
  init(_ value: Value) { self.value = Lock(value) }
  func withLock<R: Sendable>(_ body: (inout Value) -> R) -> R { value.withLock { body(&$0) } }
}

/// For a disk thread of a test that must be kept.
private func pause() { _ = RealFileSystem().randomBits() }
