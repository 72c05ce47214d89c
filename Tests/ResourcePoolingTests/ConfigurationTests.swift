import ReliabilityCore
import Testing

@testable import ResourcePooling

@Suite struct ConfigurationTests {
  @Test func theDefaultsAreTheMissionsTwoAndTen() {
    let configuration = PoolConfiguration.default
    #expect(configuration.minimum == 2 && configuration.maximum == 10)
    #expect(configuration.leaseTimeout == .seconds(30))
  }

  @Test func badValuesAreRefusedByFieldAndRule() {
    func refusal(_ change: (inout PoolConfiguration) -> Void) -> String? {
      var configuration = PoolConfiguration()
      change(&configuration)
      do {
        try configuration.validate()
        return nil
      } catch {
        return error.description
      }
    }
    let cases: [(String, (inout PoolConfiguration) -> Void)] = [
      ("minimum must not be negative", { $0.minimum = -1 }),
      ("maximum must be at least 1", { ($0.minimum, $0.maximum) = (0, 0) }),
      ("minimum must not be above the maximum", { $0.minimum = 11 }),
      ("maximumWaiters must not be negative", { $0.maximumWaiters = -1 }),
      ("leaseTimeout must not be negative", { $0.leaseTimeout = .seconds(-1) }),
      ("idleLimit must be greater than zero", { $0.idleLimit = .zero }),
      ("maximumAge must be greater than zero", { $0.maximumAge = .seconds(-1) }),
      ("jitter must be between 0 and 1", { $0.jitter = .nan }),
      ("jitter must be between 0 and 1", { $0.jitter = 1.1 }),
      ("jitter must be between 0 and 1", { $0.jitter = -0.1 }),
      ("maximumErrors must be at least 1", { $0.maximumErrors = 0 }),
      ("checkAfterIdle must not be negative", { $0.checkAfterIdle = .seconds(-1) }),
      ("creationTimeout must be greater than zero", { $0.creationTimeout = .zero }),
      ("upkeepTimeout must be greater than zero", { $0.upkeepTimeout = .zero }),
      ("drainTimeout must not be negative", { $0.drainTimeout = .seconds(-1) }),
      ("creationBackoff.cap must be greater than zero", { $0.creationBackoff.cap = .zero }),
    ]
    for (expected, change) in cases { #expect(refusal(change) == expected) }
    #expect(
      refusal {
        ($0.idleLimit, $0.maximumAge, $0.leaseTimeout, $0.maximumErrors) = (nil, nil, nil, nil)
      } == nil)
  }

  @Test func badValuesInCodeTrap() async {
    await #expect(processExitsWith: .failure) { _ = PoolConfiguration(minimum: 3, maximum: 2) }
    await #expect(processExitsWith: .failure) {
      var configuration = PoolConfiguration()
      configuration.jitter = 2
      _ = ResourcePool(configuration: configuration) {
        1
      } close: { _ in
      }
    }
  }

  @Test func hugeLimitsDoNotTrap() async throws {
    var configuration = PoolConfiguration(
      minimum: 0, maximum: .max, maximumWaiters: .max, leaseTimeout: .seconds(Int64.max),
      idleLimit: .seconds(Int64.max), maximumAge: .seconds(Int64.max))
    configuration.creationTimeout = .seconds(Int64.max)
    configuration.upkeepTimeout = .seconds(Int64.max)
    configuration.drainTimeout = .seconds(Int64.max)
    configuration.checkAfterIdle = .seconds(Int64.max)
    configuration.jitter = 1
    let pool = ResourcePool(configuration: configuration, checkOnLend: { _ in true }) {
      1
    } close: { _ in
    }
    for _ in 0..<3 { try await pool.withResource { #expect($0 == 1) } }
    await pool.stop()
    #expect(pool.statistics.closed == 1)
  }
}
