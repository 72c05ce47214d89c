import ReliabilityTestSupport
import ReliabilityTesting
import Testing

@testable import DeadLetterQueue

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#elseif canImport(Musl)
  import Musl
#endif

/// Cuts the power after every call and looks at every state the disk may be in.
@Suite(.serialized, .offThePool) struct LetterCrashTests {
  struct Violated: Error, CustomStringConvertible {
    var description: String
    init(_ description: String) { self.description = description }
  }

  private static var configuration: DeadLetterConfiguration {
    var configuration = DeadLetterConfiguration()
    // Small records: each sector of each unsynced write multiplies the states.
    configuration.maximumReportBytes = 1024
    configuration.reports.randomness = .seeded(1)
    return configuration
  }

  private static func open(
    _ disk: SimulatedDisk, _ configuration: DeadLetterConfiguration = Self.configuration
  ) async throws -> DeadLetterQueue<Order> {
    // What a crash does to a lock's file is explored with the lock; here it begins anew.
    for name in ["letters.lock", "letters.owner", "archive.lock"] {
      try? disk.fileSystem.backend.unlink("data/" + name, in: nil)
    }
    return try await DeadLetterQueue(
      "data/letters", configuration: configuration, fileSystem: disk.fileSystem)
  }

  /// Whether there is time for more than ten thousand states: some minutes.
  private static let isLong = unsafe getenv("RELIABILITY_LONG_TESTS") != nil

  private static func exploration(_ samples: Int) -> ExplorationOptions {
    var options = ExplorationOptions()
    (options.exhaustiveStates, options.samples) = (samples, samples)
    return options
  }

  /// A reader's view: neither lock nor healing, so that thousands of states take seconds.
  private static func numbers(_ disk: SimulatedDisk) async throws -> [Int: Int] {
    let queue = try await DeadLetterQueue<Order>(
      "data/letters", access: .readOnly, configuration: configuration,
      fileSystem: disk.fileSystem)
    let ids = queue.core.ids(matching: .all, order: .oldestFirst)
    var found: [Int: Int] = [:]
    for (id, entry) in zip(ids, try await queue.core.records(of: ids)) {
      guard let entry else { throw Violated("letter \(id) can't be read") }
      let number = try number(of: entry.record)
      guard found.updateValue(entry.redrives, forKey: number) == nil else {
        throw Violated("order \(number) is there twice")
      }
    }
    return found
  }

  /// The records met so far, with the numbers of their orders: thousands of states hold the same few.
  private static let known = Lock<[[UInt8]: Int]>([:])

  /// The number of the order in a record whose story is whole.
  private static func number(of bytes: [UInt8]) throws -> Int {
    if let number = known.withLock({ $0[bytes] }) { return number }
    guard let letter = LetterRecord(bytes)?.letter(redrives: 0) else {
      throw Violated("a record is no letter")
    }
    let number = try letter.payload(as: Order.self).number
    if letter.attempts.isEmpty || letter.report.title.isEmpty {
      throw Violated("order \(number) has lost its story")
    }
    known.withLock { $0[bytes] = number }
    return number
  }

  /// Redrives by the number of the order.
  private static func redrives(_ queue: DeadLetterQueue<Order>) async throws -> [Int: Int] {
    var found: [Int: Int] = [:]
    for letter in try await queue.everything() {
      let number = try letter.payload(as: Order.self).number
      guard found.updateValue(letter.redriveCount, forKey: number) == nil else {
        throw Violated("order \(number) is there twice")
      }
      if letter.attempts.isEmpty || letter.report.title.isEmpty {
        throw Violated("order \(number) has lost its story")
      }
    }
    return found
  }

  /// Adds, discards, redrives and compactions; says what it was told.
  @Sendable private static func live(_ disk: SimulatedDisk) async throws {
    let queue = try await open(disk)
    func add(_ number: Int) async throws {
      try await queue.add(number)
      disk.acknowledge("added \(number)")
    }
    for number in 1...4 { try await add(number) }
    disk.acknowledge("discarding 2")
    try await queue.discard(.init(rawValue: 2), reason: "x")
    disk.acknowledge("discarded 2")
    try await queue.redrive(.ids([.init(rawValue: 3), .init(rawValue: 4)])) { order, _ in
      disk.acknowledge("ran \(order.number)")
      if order.number == 3 { throw Broken() }
    }
    disk.acknowledge("redriven 4")
    disk.acknowledge("failed 3")
    try await queue.compact()
    try await add(5)
    func addLarge(_ numbers: ClosedRange<Int>) async throws {
      try await withThrowingTaskGroup { group in
        for number in numbers {
          group.addTask {
            // Of several sectors, and in one write.
            let order = Order(number: number, note: String(repeating: "x", count: 2000))
            try await queue.add(order, kind: "large", error: Broken())
            disk.acknowledge("added \(number)")
          }
        }
        try await group.waitForAll()
      }
    }
    try await addLarge(6...8)
    disk.acknowledge("discarding 1")
    try await queue.discard(.init(rawValue: 1), reason: "x")
    disk.acknowledge("discarded 1")
    try await queue.redrive(.ids([.init(rawValue: 5)])) { _, _ in disk.acknowledge("ran 5") }
    disk.acknowledge("redriven 5")
    try await queue.compact()
    try await add(9)
    try await addLarge(10...12)
    try await queue.close()
  }

  private static func check(_ found: [Int: Int], _ acknowledged: [String]) throws {
    let said = Set(acknowledged)
    for number in 1...12 {
      let isThere = found[number] != nil
      if said.contains("discarded \(number)") || said.contains("redriven \(number)") {
        if isThere { throw Violated("order \(number) came back") }
      } else if said.contains("added \(number)") && !isThere {
        // Gone without a word only while somebody takes it away.
        guard said.contains("discarding \(number)") || said.contains("ran \(number)"), number != 3
        else { throw Violated("order \(number) is lost") }
      }
      if isThere, found[number]! > 1 || found[number]! > 0 && !(3...5).contains(number) {
        throw Violated("order \(number) was never redriven so often")
      }
    }
    if said.contains("failed 3"), found[3] != 1 { throw Violated("the redrive of 3 is forgotten") }
  }

  @Test(.timeLimit(.minutes(10)))
  func nothingAcknowledgedIsLostAndNothingDiscardedComesBack() async throws {
    let report = try await SimulatedDisk.explore(
      options: Self.exploration(Self.isLong ? 12_000 : 500),
      prepare: { disk in try disk.write("data/other", "x") },
      run: Self.live,
      check: { disk, acknowledged in
        if disk.read("data/letters") == nil {
          guard acknowledged.isEmpty else { throw Violated("the file is lost") }
          return
        }
        try Self.check(try await Self.numbers(disk), acknowledged)
      })
    print("DeadLetterQueue, one crash: \(report)")
    #expect(report.distinctStates >= (Self.isLong ? 10_000 : 1_200))
  }

  @Test(.timeLimit(.minutes(10)))
  func openingAgainHealsAlsoWhenItIsCutOff() async throws {
    var options = Self.exploration(Self.isLong ? 40 : 3)
    options.secondCrashStates = 1
    let report = try await SimulatedDisk.explore(
      options: options,
      prepare: { disk in try disk.write("data/other", "x") },
      run: Self.live,
      recover: { disk in _ = try await Self.open(disk) },
      check: { disk, acknowledged in
        let queue = try await Self.open(disk)
        try Self.check(try await Self.redrives(queue), acknowledged)
        // At least once: what is left can be redriven, and new letters get new names.
        let count = queue.count
        #expect(try await queue.redrive { _, _ in }.succeeded == count)
        let id = try await queue.add(20)
        #expect(try await Self.redrives(queue) == [20: 0] && id.rawValue > UInt64(count))
      })
    print("DeadLetterQueue, two crashes: \(report)")
    #expect(report.distinctStates >= 150)
  }

  @Test(.timeLimit(.minutes(10)))
  func whatSpillsIsInTheQueueOrInTheArchive() async throws {
    let report = try await SimulatedDisk.explore(
      options: Self.exploration(Self.isLong ? 1000 : 20),
      prepare: { disk in try disk.write("data/other", "x") },
      run: { disk in
        var configuration = Self.configuration
        configuration.capacity = 2
        configuration.overflow = .spill(to: "data/archive")
        let queue = try await Self.open(disk, configuration)
        for number in 1...5 {
          try await queue.add(number)
          disk.acknowledge("added \(number)")
        }
        try await queue.close()
      },
      check: { disk, acknowledged in
        var found: Set<Int> = []
        for name in ["data/letters", "data/archive"] where disk.read(name) != nil {
          let queue = try await DeadLetterQueue<Order>(
            name, access: .readOnly, fileSystem: disk.fileSystem)
          found.formUnion(try await Self.redrives(queue).keys)
        }
        for number in 1...5 where acknowledged.contains("added \(number)") {
          guard found.contains(number) else { throw Violated("order \(number) is lost") }
        }
      })
    print("DeadLetterQueue, spilling: \(report)")
    #expect(report.distinctStates >= 200)
  }

  @Test(.timeLimit(.minutes(10))) func lettersThatAreNotSyncedAreMissed() async throws {
    await #expect(throws: CrashViolation.self) {
      try await SimulatedDisk.explore(
        options: Self.exploration(20),
        prepare: { disk in try disk.write("data/other", "x") },
        run: { disk in
          var configuration = Self.configuration
          configuration.durability = .none
          let queue = try await Self.open(disk, configuration)
          for number in 1...3 {
            try await queue.add(number)
            disk.acknowledge("added \(number)")
          }
        },
        check: { disk, acknowledged in
          if disk.read("data/letters") == nil { throw Violated("the file is lost") }
          try Self.check(try await Self.numbers(disk), acknowledged)
        })
    }
  }
}
