import ReliabilityIO
import ReliabilityTestSupport
import Testing

@testable import BackoffLock

/// A fresh directory with one lock file in it, removed when the test ends.
final class LockScratch: Sendable {
  private let scratch = ScratchDirectory(inMemory: true)
  var directory: String { scratch.path }
  var path: String { scratch.file("lock") }

  /// A lock in this process, or with a registry of its own in what the system takes for another one.
  func lock(
    in registry: LockRegistry = .shared, usesWholeFiles: Bool = false,
    fileSystem: FileSystem = .real, clock: any TimeSource = ContinuousClock(),
    _ change: (inout BackoffLock.Configuration) -> Void = { _ in }
  ) -> BackoffLock {
    var configuration = BackoffLock.Configuration()
    // Tests of other things must not fail because the machine is slow.
    configuration.timeout = .seconds(600)
    change(&configuration)
    return BackoffLock(
      path, configuration: configuration, fileSystem: fileSystem, clock: clock,
      registry: registry, usesWholeFiles: usesWholeFiles)
  }

  var bytes: [UInt8] { scratch.readBytes("lock") ?? [] }

  func write(_ bytes: [UInt8]) throws { try scratch.write(bytes, to: "lock", mode: 0o666) }
}

extension LockScratch {
  /// Tasks of what the system takes for several processes take turns; no two are inside at once, and nobody is forgotten.
  func expectExclusion(
    processes: Int, tasks: Int, usesWholeFiles: Bool = false,
    _ change: (inout BackoffLock.Configuration) -> Void
  ) async throws {
    let inside = Tally()
    let turns = Tally()
    let turnsEach = 25
    try await withThrowingTaskGroup { group in
      for process in 0..<processes {
        let registry = LockRegistry()
        for _ in 0..<tasks {
          let lock = lock(in: registry, usesWholeFiles: usesWholeFiles) {
            change(&$0)
            $0.idleHold = process == 0 ? .milliseconds(1) : .zero
          }
          group.addTask {
            for _ in 0..<turnsEach {
              try await lock.withLock { _ in
                #expect(inside.value == 0)
                inside.value = 1
                // Not one step: whoever is inside as well spoils the sum.
                let before = turns.value
                await Task.yield()
                turns.value = before + 1
                inside.value = 0
              }
            }
          }
        }
      }
      try await group.waitForAll()
    }
    #expect(turns.value == processes * tasks * turnsEach)
  }

  /// How many files this process has open.
  static var openDescriptors: Int {
    guard let directory = try? OpenDirectory("/proc/self/fd", fileSystem: .real) else { return 0 }
    return ((try? directory.entries()) ?? []).count
  }
}
