internal import ReliabilityIO

extension LockFile {
  /// How far one process is with taking the lock.
  struct Attempt: Sendable {
    enum Stage: Hashable, Sendable {
      case outside
      /// At the gate behind which places in the queue are taken.
      case atGate
      /// With a place in the queue, behind the one before.
      case queued(UInt64)
      /// At the main lock, with the place and the gate still held, or neither.
      case atMain(place: UInt64?)
      /// With the main lock; the turn must still be written.
      case inside
    }

    let strategy: LockStrategy
    let mode: BackoffLock.Mode
    /// Whether the turn of the last holder may go on.
    let continuing: Bool
    let label: String?
    /// Whether to leave no trace when somebody else comes first.
    var triesOnce = false
    var stage = Stage.outside
  }

  typealias Turn = LockStateMachine<LockHold>.Turn

  /// Something that makes this file useless for locking by its path.
  struct Replaced: Error {}

  /// Takes the lock, or goes as far as it can.
  ///
  /// - Parameter waits: Whether it may block: for an unknown time, so only on a thread that is there for it.
  /// - Returns: Whose turn it is, or `nil` when it would have to block.
  /// - Throws: ``Replaced`` when another file is at the path, else what failed. Nothing is held then.
  func advance(_ attempt: inout Attempt, waits: Bool, now: Duration) throws -> Turn? {
    // A wait may take longer than the path is trusted.
    if waits { trust = nil }
    do {
      while attempt.stage != .inside {
        guard try step(&attempt, waits: waits) else { return nil }
      }
      guard let turn = try takeTurn(attempt, mayBlock: waits, now: now) else { return nil }
      return turn
    } catch {
      giveUpEverything()
      trust = nil
      known = nil
      throw error
    }
  }

  /// - Returns: Whether the next stage was reached.
  private func step(_ attempt: inout Attempt, waits: Bool) throws -> Bool {
    let operation: LockOperation = attempt.mode == .exclusive ? .exclusive : .shared
    switch attempt.stage {
    case .outside:
      switch attempt.strategy {
      case .queue:
        // Somebody may take a place between the two calls: who asked first comes first even then.
        if try !isAwaited(), try take(.main, operation, waits: false) {
          attempt.stage = .inside
          return true
        }
        if attempt.triesOnce { return false }
        attempt.stage = .atGate
      case .gate:
        guard try take(.gate, .exclusive, waits: waits) else { return false }
        attempt.stage = .atMain(place: nil)
      case .plain, .polling:
        if try take(.main, operation, waits: false) {
          // Said by the look before this one, that somebody waits.
          if waits { try giveBack(.waiting) }
          attempt.stage = .inside
          return true
        }
        if attempt.triesOnce { return false }
        // So that a holder can see that somebody waits.
        _ = try take(.waiting, .shared, waits: false)
        if waits || attempt.strategy == .polling { attempt.stage = .atMain(place: nil) }
        return waits
      }
    case .atGate:
      guard try take(.gate, .exclusive, waits: waits) else { return false }
      attempt.stage = .queued(try takePlace())
      try giveBack(.gate)
      // Somebody was there before: it would only be to fail.
      return waits
    case .queued(let place):
      guard try take(.place(place - 1), .exclusive, waits: waits) else { return false }
      attempt.stage = .atMain(place: place)
    case .atMain(let place):
      guard try take(.main, operation, waits: waits && attempt.strategy != .polling) else {
        return false
      }
      // The next in line may be another reader. Behind a writer it stays where it is until both are given up at once.
      if place != nil && attempt.mode == .shared { try givePlacesBack() }
      if attempt.strategy == .gate { try giveBack(.gate) }
      if attempt.strategy == .plain || attempt.strategy == .polling { try giveBack(.waiting) }
      attempt.stage = .inside
    case .inside: break
    }
    return true
  }

  /// Takes the place after the last one, behind the gate.
  private func takePlace() throws -> UInt64 {
    let bytes = try read(at: Self.placeOffset, count: 8)
    var place = bytes.reduce(0) { $0 << 8 | UInt64($1) } & (1 << 60 - 1)
    // A counter that fell back, as after a power cut, meets places that are still taken.
    repeat { place += 1 } while try !take(.place(place), .exclusive, waits: false)
    let next = (0..<8).map { UInt8(truncatingIfNeeded: place >> (56 - 8 * UInt64($0))) }
    try file.writeAll(next.span, at: Self.placeOffset)
    return place
  }

  /// Gives the main lock up, and with it the place in the queue: the one behind is woken once.
  func leave() throws {
    switch mechanism {
    case .ranges: try unlock(from: .main)
    case .files: try giveBack(.main)
    }
  }

  func read(at offset: Int64, count: Int) throws -> [UInt8] {
    try [UInt8](capacity: count) { (buffer: inout OutputSpan<UInt8>) throws(SystemCallError) in
      try file.readAll(into: &buffer, at: offset)
    }
  }
}
