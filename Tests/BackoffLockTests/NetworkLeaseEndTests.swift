import ReliabilityIO
import ReliabilityTestSupport
import ReliabilityTesting
import Testing

@testable import BackoffLock

/// How a hold ends, and what is left.
@Suite(.timeLimit(.minutes(10))) struct NetworkLeaseEndTests {
  @Test func whatTheBodyThrowsIsThrownAndTheLeaseIsGivenBack() async throws {
    let scene = LeaseScene()
    await #expect(throws: Unfinished.self) {
      try await scene.lease(.alpha).withLease { _ in throw Unfinished() }
    }
    #expect(scene.names == ["guard", "token.00000000000000000001"])
  }

  @Test func aCancelledCallerCancelsTheBodyAndTheLeaseIsGivenBack() async throws {
    let scene = LeaseScene()
    let task = Task {
      try await scene.lease(.alpha).withLease { _ in
        try await scene.clock.wait(for: .seconds(5))
      }
    }
    await scene.clock.scheduled(atLeast: 3)
    task.cancel()
    await #expect(throws: CancellationError.self) { try await task.value }
    #expect(scene.names == ["guard", "token.00000000000000000001"])
    #expect(!scene.kinds.contains(.lost))
  }

  @MainActor @Test func theBodyRunsWhereTheCallerIs() async throws {
    let scene = LeaseScene()
    var count = 0
    try await scene.lease(.alpha).withLease { _ in
      MainActor.assertIsolated()
      count += 1
    }
    #expect(count == 1)
  }

  @Test func afterAnyFailureNoClaimStaysForLongerThanItsTime() async throws {
    for number in [ErrorNumber.inputOutput, .noSpace, .permissionDenied, .staleHandle] {
      var n = 1
      while true {
        let scene = LeaseScene()
        let failing = n
        scene.server.set { $0.call = (failing, number) }
        let result = try? await scene.lease(.alpha).withLease { $0.token }
        let context = Comment(rawValue: "call \(n), \(number)")
        let left = scene.names.filter { $0 != "guard" && !$0.hasPrefix("token.") }
        // One file whose removal is the very call that failed.
        #expect(left.count <= 1, context)
        if result == nil && left.contains("claim") { #expect(scene.kinds.contains(.releaseFailed)) }
        scene.server.set { $0.call = nil }
        scene.clock.advance(by: .seconds(40))
        _ = try await scene.lease(.beta).acquire(timeout: .zero)
        if scene.server.faultsMet == 0 { break }
        n += 1
      }
      #expect(n > 15)
    }
  }

  @Test(arguments: [40, 5]) func aClaimThatCouldNotBeConfirmedInTimeIsMadeAgain(
    timeout: Int
  ) async throws {
    let scene = LeaseScene()
    let writes = Guarded(0)
    scene.server.set { faults in
      faults.beforeWrite = {
        // The first is the record, the second its token.
        let isToken = writes.withLock { writes in
          writes += 1
          return writes == 2
        }
        if isToken { scene.clock.advance(by: .seconds(31)) }
      }
    }
    let lease = scene.lease(.alpha)
    if timeout > 31 {
      let token = try await lease.withLease(timeout: .seconds(timeout)) { $0.token }
      #expect(token.turn == 2 << 16)
      #expect(scene.names == ["guard", "token.00000000000000000002"])
    } else {
      let error = await #expect(throws: LeaseError.self) {
        try await lease.acquire(timeout: .seconds(timeout))
      }
      #expect(error?.code == .timedOut)
      #expect(scene.names == ["guard", "token.00000000000000000001"])
    }
    #expect(scene.server.openDescriptors == 0)
  }

  @Test func whatIsNoClaimIsRefused() async throws {
    for (text, code) in [
      ("", LeaseError.Code.foreignClaim), ("no JSON", .foreignClaim),
      (#"{"format":"another","version":1}"#, .foreignClaim),
      (#"{"format":"reliability-lease","version":2}"#, .newerFormat),
    ] {
      let scene = LeaseScene()
      try scene.write(text, to: "claim")
      let error = await #expect(throws: LeaseError.self) {
        try await scene.lease(.alpha).acquire()
      }
      #expect(error?.code == code)
      #expect(scene.names == ["claim", "guard"])
    }
  }

  @Test func recordsOfContendersThatCrashedADayAgoAreRemovedAndNothingElse() async throws {
    let scene = LeaseScene()
    // Their times are real ones, and the server here says later.
    try scene.write("x", to: "new.5.1")
    try scene.write("x", to: "old.1")
    try scene.write("x", to: "someone's")
    let lease = NetworkLease(scene.path, configuration: .patient)
    _ = try await lease.withLease { $0.token }
    #expect(scene.names.contains("new.5.1") && scene.names.contains("old.1"))
    scene.clock.advance(by: .seconds(100 * 365 * 86_400))
    _ = try await scene.lease(.alpha).withLease { $0.token }
    #expect(scene.names == ["guard", "someone's", "token.00000000000000000002"])
  }

  @Test func strangeTokenFilesAreNoTokens() async throws {
    let scene = LeaseScene()
    let strange = ["token.18446744073709551615", "token.5", "token.x", "token."]
    for name in strange { try scene.write("", to: name) }
    let token = try await scene.lease(.alpha).withLease { $0.token }
    #expect(token.turn == 1 << 16)
    #expect(scene.names == (strange + ["guard", "token.00000000000000000001"]).sorted())
  }

  @Test func aDrawnNumberIsNeverDrawnAgain() async throws {
    let scene = LeaseScene()
    try scene.write("", to: "token.00000000000000000041")
    let token = try await scene.lease(.alpha).withLease { $0.token }
    #expect(token.turn == 42 << 16)
  }

  @Test func aBadConfigurationIsSaid() {
    for change: (inout NetworkLease.Configuration) -> Void in [
      { $0.duration = .milliseconds(999) }, { $0.duration = .seconds(90_000) },
      { $0.duration = .nanoseconds(1_000_000_001) }, { $0.timeout = .seconds(-1) },
    ] {
      var configuration = NetworkLease.Configuration()
      change(&configuration)
      #expect(throws: ConfigurationError.self) { try configuration.validate() }
    }
  }
}

@Suite(.realTime, .serialized, .timeLimit(.minutes(10))) struct RealTimeNetworkLeaseTests {
  @Test func contendersOfOneDirectoryAreNeverInTogether() async throws {
    let scene = LeaseScene()
    let inside = Guarded(0)
    let tokens = Guarded<[FencingToken]>([])
    try await withThrowingTaskGroup { group in
      for _ in 0..<6 {
        group.addTask {
          let lease = NetworkLease(scene.path, configuration: .patient)
          for _ in 0..<10 {
            try await lease.withLease { hold in
              let others = inside.withLock { inside in
                defer { inside += 1 }
                return inside
              }
              #expect(others == 0)
              await Task.yield()
              tokens.withLock { $0.append(hold.token) }
              inside.withLock { $0 -= 1 }
            }
          }
        }
      }
      try await group.waitForAll()
    }
    let drawn = tokens.withLock { $0 }
    #expect(drawn == drawn.sorted() && Set(drawn).count == 60)
    #expect(scene.names.count == 2)
  }
}

extension NetworkLease.Configuration {
  /// For the real disk, which may be silent for longer than the defaults allow while others flush to it.
  fileprivate static var patient: Self {
    var configuration = Self()
    configuration.duration = .seconds(3600)
    configuration.timeout = .seconds(600)
    return configuration
  }
}
