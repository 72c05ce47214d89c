import ReliabilityCore
import RetryKit
import Testing

@Suite struct RecommendationTests {
  @Test(
    "The highest rung whose memory is free; over four hours one rung lower",
    arguments: [
      // Free memory in MB, minutes of material, the rung.
      (16_384, 10, MediaQuality.p720), (8192, 10, .p720), (8191, 10, .p480), (4096, 10, .p480),
      (4095, 10, .p360), (2048, 10, .p360), (2047, 10, .worst), (1024, 10, .worst),
      (1023, 10, .worst), (0, 10, .worst), (-1, 0, .worst),
      (16_384, 240, .p720), (16_384, 241, .p480), (8191, 241, .p360), (4095, 241, .worst),
      (2047, 241, .worst), (0, 100_000, .worst), (16_384, 0, .p720),
    ])
  func rung(megabytes: Int, minutes: Int, expected: MediaQuality) {
    let rung = FallbackLadder<MediaQuality>.mediaQuality.recommendedRung(
      availableMemory: megabytes << 20, duration: .seconds(minutes * 60))
    #expect(rung == expected)
  }

  @Test(
    "As many threads as processors, 512 MB each, and 8 allow; one at least",
    arguments: [
      // Processors, free memory in MB, threads.
      (1, 16_384, 1), (2, 16_384, 2), (8, 16_384, 8), (64, 65_536, 8), (8, 4096, 8), (8, 4095, 7),
      (8, 1024, 2), (8, 1023, 1), (8, 512, 1), (8, 0, 1), (0, 16_384, 1), (-4, -1, 1),
    ])
  func threads(processors: Int, megabytes: Int, expected: Int) {
    let threads = MediaQuality.recommendedThreads(
      processors: processors, availableMemory: megabytes << 20)
    #expect(threads == expected)
  }

  @Test("The ladder's rungs have the limits the mission names")
  func preset() {
    let steps = FallbackLadder<MediaQuality>.mediaQuality.steps
    #expect(steps.map(\.name) == ["720p", "480p", "360p", "worst"])
    #expect(steps.map { $0.memoryLimit! >> 20 } == [8192, 4096, 2048, 1024])
    #expect(steps.map(\.timeoutMultiplier) == [1.0, 0.8, 0.6, 0.5])
    #expect(steps.allSatisfy { $0.stepsDownOn == [.memoryExhaustion, .timeout] })
  }

  @Test("Memory-related failures are cut by at least 90 % against no ladder")
  func cutsMemoryFailures() async throws {
    var generator = SeededGenerator(seed: 11)
    let ladder = FallbackLadder<MediaQuality>.mediaQuality(name: "workload")
    var (without, with) = (0, 0)
    let calls = 2000
    for number in 0..<calls {
      // What is free while the video is worked on: anything from a small machine to a large one. What a quality takes is
      // about its limit, half of it to one and a half times.
      let free = Int.random(in: 1024...12_288, using: &generator)
      let demand = Double.random(in: 0.5...1.5, using: &generator)
      func work(_ quality: MediaQuality, limit: Int) throws {
        if Double(limit >> 20) * demand > Double(free) { throw OutOfMemory() }
      }
      do {
        try work(.p720, limit: 8192 << 20)
      } catch {
        without += 1
      }
      // What is free is known roughly: another program takes a quarter of it meanwhile, every other time.
      let seen = number.isMultiple(of: 2) ? free : free * 4 / 3
      do {
        _ = try await ladder.run(key: "host \(number % 10)", availableMemory: seen << 20) {
          try work($0.rung, limit: $0.memoryLimit!)
        }
      } catch is LadderError<MediaQuality> {
        with += 1
      }
    }
    print(
      "memory-related failures of \(calls) videos: \(without) without a ladder, \(with) with it")
    #expect(without > 500)
    #expect(Double(with) <= 0.1 * Double(without))
  }
}
