import AtomicStore
import Testing

/// Takes real time, because it is about real time.
@Suite struct RealTimeSaveTests {
  /// Were saves made on the cooperative pool, twenty of them would hold all its threads.
  @Test func aSleeperWakesOnTimeWhileTwentyTasksSave() async throws {
    let scratch = ScratchDirectory()
    let content = [UInt8](repeating: 7, count: 1 << 20)
    let clock = ContinuousClock()
    let late = try await withThrowingTaskGroup(of: Duration.self) { group in
      for i in 0..<20 {
        group.addTask {
          for _ in 0..<5 { try await AtomicFile.replace(scratch.file("f\(i)"), with: content) }
          return .zero
        }
      }
      group.addTask {
        var worst = Duration.zero
        for _ in 0..<4 {
          let due = clock.now + .milliseconds(50)
          try await clock.sleep(until: due)
          worst = max(worst, clock.now - due)
        }
        return worst
      }
      return try await group.reduce(Duration.zero) { max($0, $1) }
    }
    #expect(late < .milliseconds(500), "the sleeper was late by \(late)")
  }
}
