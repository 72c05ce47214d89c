import ReliabilityIO
import ReliabilityTestSupport
import ReliabilityTesting
import Testing

@testable import BackoffLock

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#elseif canImport(Musl)
  import Musl
#endif

/// Real other processes: copies of this program that the system tells apart.
@Suite(.realTime, .serialized) struct RealTimeLockProcessTests {
  @Test(.timeLimit(.minutes(10)), arguments: ["queue", "gate", "plain", "polling"])
  func fourProcessesCountTogetherAndTheirTokensGrow(strategy: String) async throws {
    let scratch = LockScratch()
    await withTaskGroup { group in
      for _ in 0..<4 {
        group.addTask {
          await #expect(processExitsWith: .success) {
            [path = scratch.path as String, strategy = strategy as String] in
            try await countUp(path, strategy, rounds: 100)
          }
        }
      }
    }
    let count = try OpenFile(scratch.path + ".count", [.read], fileSystem: .real)
    #expect(try numbers(count)[0] == 400)
  }

  @Test(.timeLimit(.minutes(10)), arguments: ["queue", "gate", "plain", "polling"])
  func aHolderThatIsKilledGivesTheLockToTheOneWhoWaits(strategy: String) async throws {
    let scratch = LockScratch()
    let lock = scratch.lock { $0.strategy = named(strategy) }
    async let killed = #expect(processExitsWith: .signal(SIGKILL)) {
      [path = scratch.path as String] in
      let lock = BackoffLock(path)
      let hold = try await lock.acquire()
      // Until the other process is in the queue.
      try await until { (try? hold.core.file?.isAwaited()) == true }
      kill(getpid(), SIGKILL)
    }
    try await until { (try? lock.peekOwner()) != nil }
    let token = try await lock.withLock { $0 }
    #expect(token > FencingToken(epoch: 1, turn: 1 << 16))
    #expect(lock.statistics.waits == 1)
    _ = await killed
  }

  @Test(.timeLimit(.minutes(10)))
  func aWaiterThatIsKilledHoldsNobodyUp() async throws {
    let scratch = LockScratch()
    let holder = scratch.lock(in: LockRegistry())
    let lock = scratch.lock()
    let held = try await holder.tryLock()
    await #expect(processExitsWith: .signal(SIGKILL)) { [path = scratch.path as String] in
      let lock = BackoffLock(path)
      let waiter = Task { try await lock.withLock { _ in } }
      try await until { lock.statistics.waiting == 1 }
      // Its own place in the queue shows only through another open file.
      let file = try LockFile.open(path, .native, .real)
      try await until { (try? file.isAwaited()) == true }
      kill(getpid(), SIGKILL)
      try await waiter.value
    }
    let behind = Task { try await lock.withLock { _ in } }
    try await until { lock.statistics.waiting == 1 }
    held?.release()
    try await behind.value
  }

  @Test(.timeLimit(.minutes(10)))
  func aCopyMadeByForkMayNeitherTakeTheLockNorGiveItUp() async {
    await #expect(processExitsWith: .success) {
      let scratch = LockScratch()
      let lock = scratch.lock()
      let hold = try await lock.acquire()
      // Whatever the copy needs is loaded by the original: it has no other thread to wait for.
      #expect(throws: (any Error).self) { try tryInCopy(lock) }
      let status = inCopy {
        lock.release(hold)
        do {
          try tryInCopy(lock)
          return 1
        } catch let error as LockError {
          return error.code == .forked ? 42 : 2
        } catch {
          return 3
        }
      }
      #expect(status == 42)
      let other = scratch.lock(in: LockRegistry())
      var isFree = try await isHeld(other.tryLock())
      #expect(!isFree)
      lock.release(hold)
      isFree = try await isHeld(other.tryLock())
      #expect(isFree)
    }
  }
}

private func named(_ strategy: String) -> BackoffLock.Strategy {
  switch strategy {
  case "gate": .gate
  case "plain": .plain
  case "polling": .polling(.brisk)
  default: .queue
  }
}

private func numbers(_ file: borrowing OpenFile) throws -> [UInt64] {
  let bytes = try [UInt8](capacity: 24) {
    (buffer: inout OutputSpan<UInt8>) throws(SystemCallError) in
    try file.readAll(into: &buffer, at: 0)
  }
  return stride(from: 0, to: 24, by: 8).map { start in
    bytes.dropFirst(start).prefix(8).reduce(0) { $0 << 8 | UInt64($1) }
  }
}

/// Counts in a file beside the lock, in two steps between which others must not come.
private func countUp(_ path: String, _ strategy: String, rounds: Int) async throws {
  var configuration = BackoffLock.Configuration()
  configuration.strategy = named(strategy)
  let lock = BackoffLock(path, configuration: configuration)
  let file = try OpenFile(path + ".count", [.read, .write, .create], fileSystem: .real)
  for _ in 0..<rounds {
    try await lock.withLock { token in
      let before = try numbers(file)
      let last = FencingToken(epoch: UInt32(before[1]), turn: before[2])
      guard token > last else { throw TokenFell(token: token, last: last) }
      await Task.yield()
      let after = [before[0] + 1, UInt64(token.epoch), token.turn].flatMap { number in
        (0..<8).map { UInt8(truncatingIfNeeded: number >> (56 - 8 * UInt64($0))) }
      }
      try file.writeAll(after.span, at: 0)
    }
  }
}

private struct TokenFell: Error {
  var token: FencingToken
  var last: FencingToken
}

private func isHeld(_ held: borrowing HeldLock?) -> Bool {
  switch held {
  case .some: true
  case .none: false
  }
}

private func tryInCopy(_ lock: BackoffLock) throws {
  if try isHeld(lock.tryLock()) { return }
  throw NeverHappened()
}

/// Runs a body in a copy of this process, which ends with what it returns; a copy that hangs is ended by the system.
private func inCopy(_ body: () -> Int32) -> Int32 {
  // `fork` is hidden from Swift, for good reasons; what a program's C code does to a lock is the question here.
  typealias Fork = @convention(c) () -> pid_t
  guard let symbol = unsafe dlsym(nil, "fork") else { return -1 }
  let fork = unsafe unsafeBitCast(symbol, to: Fork.self)
  let child = fork()
  if child == 0 {
    alarm(10)
    _exit(body())
  }
  var status: Int32 = 0
  while unsafe waitpid(child, &status, 0) == -1 && errno == EINTR {}
  return status & 0x7F == 0 ? status >> 8 & 0xFF : -status
}

extension BackoffLock {
  /// Who holds the lock, asked on this thread.
  fileprivate func peekOwner() throws -> LockOwner? { try openIfThere()?.owner() }

  private func openIfThere() throws -> LockCore? {
    do { return try open(creating: false) } catch { return nil }
  }
}
