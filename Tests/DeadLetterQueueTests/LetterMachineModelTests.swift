import ReliabilityCore
import ReliabilityTestSupport
import Testing

@testable import DeadLetterQueue

/// Random operations on the rules, beside a reference that is as plain as can be.
@Suite(.offThePool) struct LetterMachineModelTests {
  struct Reference {
    struct Letter: Equatable {
      var id: UInt64
      var kind: String
      var fingerprint: String
      var arrived: Int64
      var size: Int
      var state: LetterEntry.State
      var redrives: Int
    }

    var letters: [Letter] = []
    var added = 0
    var gone = 0

    var kept: [Letter] { letters.filter { $0.state != .arriving } }
    func index(_ id: UInt64, _ state: LetterEntry.State) -> Int? {
      letters.firstIndex { $0.id == id && $0.state == state }
    }
  }

  private func head(_ kind: String, _ fingerprint: String, redrives: Int = 0) -> LetterHead {
    LetterHead(
      arrived: PersistedMoment(wall: 0, bootID: "", sinceBoot: 0), kind: kind, category: "network",
      fingerprint: fingerprint, firstFailure: 0, lastFailure: 0, redrives: redrives, reason: "")
  }

  @Test(.timeLimit(.minutes(10)), arguments: [true, false], [1, 2] as [UInt64])
  func twoHundredThousandOperationsAgreeWithAReference(makesRoom: Bool, seed: UInt64) throws {
    var random = SeededGenerator(seed: seed)
    var limits = LetterMachine.Limits()
    (limits.capacity, limits.maximumBytes, limits.makesRoom) = (40, 3000, makesRoom)
    var machine = LetterMachine(limits)
    var reference = Reference()
    var now: Int64 = 0
    var pending: [UInt64: [UInt64]] = [:]  // arriving, and who makes room
    for step in 0..<60_000 {
      now += Int64.random(in: 0...3, using: &random)
      let target = UInt64.random(in: 1...max(2, machine.nextID), using: &random)
      // Mostly letters that are there.
      let id =
        Bool.random(using: &random)
        ? target : reference.letters.randomElement(using: &random)?.id ?? target
      switch Int.random(in: 0..<10, using: &random) {
      case 0, 1, 2:
        let kind = "k\(Int.random(in: 0..<4, using: &random))"
        let size = Int.random(in: 1...200, using: &random)
        let occupied = reference.letters.filter { $0.state != .leaving }
        var free = (
          limits.capacity - occupied.count,
          limits.maximumBytes - occupied.reduce(0) { $0 + $1.size }
        )
        var leaving: [UInt64]? = []
        if makesRoom {
          for letter in reference.letters where letter.state == .resting {
            if free.0 >= 1 && free.1 >= size { break }
            leaving?.append(letter.id)
            free = (free.0 + 1, free.1 + letter.size)
          }
        }
        if free.0 < 1 || free.1 < size { leaving = nil }
        let admission = machine.admit(head(kind, "f" + kind), size: size, arrived: now)
        if let leaving {
          let new = (reference.letters.map(\.id).max() ?? 0)
          guard case .admitted(let id, leaving) = admission, id > new else {
            Issue.record("seed \(seed) step \(step): \(admission), expected \(leaving)")
            return
          }
          for id in leaving { reference.letters[reference.index(id, .resting)!].state = .leaving }
          reference.letters.append(
            .init(
              id: id, kind: kind, fingerprint: "f" + kind, arrived: now, size: size,
              state: .arriving, redrives: 0))
          pending[id] = leaving
        } else {
          try #require(admission == .full, "seed \(seed) step \(step)")
        }
      case 3, 4:
        guard let id = pending.keys.min(), let leaving = pending.removeValue(forKey: id) else {
          break
        }
        let index = reference.index(id, .arriving)!
        if Int.random(in: 0..<8, using: &random) == 0 {
          machine.giveUpArrival(id)
          machine.giveUpDeparture(leaving)
          for id in leaving { reference.letters[reference.index(id, .leaving)!].state = .resting }
          reference.letters.remove(at: index)
        } else {
          machine.depart(leaving)
          _ = machine.arrive(id, at: .memory([]), now: now)
          reference.letters[index].state = .resting
          reference.added += 1
          reference.letters.removeAll { leaving.contains($0.id) }
          reference.gone += leaving.count
        }
      case 5:
        let ids = [id, target]
        let taken = machine.beginDeparture(ids)
        var expected: [UInt64] = []
        for id in ids {
          if let index = reference.index(id, .resting) {
            reference.letters[index].state = .leaving
            expected.append(id)
          }
        }
        try #require(taken == expected, "seed \(seed) step \(step)")
        if Bool.random(using: &random) {
          machine.depart(taken)
          reference.letters.removeAll { taken.contains($0.id) }
          reference.gone += taken.count
        } else {
          machine.giveUpDeparture(taken)
          for id in taken { reference.letters[reference.index(id, .leaving)!].state = .resting }
        }
      case 6:
        let number = machine.beginRedrive(id)
        if let index = reference.index(id, .resting) {
          reference.letters[index].state = .redriving
          reference.letters[index].redrives += 1
          try #require(number == reference.letters[index].redrives, "seed \(seed) step \(step)")
        } else {
          try #require(number == nil, "seed \(seed) step \(step)")
        }
      case 7:
        guard let index = reference.letters.firstIndex(where: { $0.state == .redriving }) else {
          break
        }
        var letter = reference.letters[index]
        switch Int.random(in: 0..<3, using: &random) {
        case 0:
          machine.finishRedrive(letter.id)
          reference.letters.remove(at: index)
          reference.gone += 1
        case 1:
          letter.size = Int.random(in: 1...200, using: &random)
          (letter.fingerprint, letter.arrived, letter.state) = ("again", now, .resting)
          machine.returnFromRedrive(
            letter.id, head(letter.kind, "again", redrives: letter.redrives), size: letter.size,
            arrived: now, place: .memory([]))
          reference.letters[index] = letter
        default:
          machine.giveUpRedrive(letter.id, counts: true)
          reference.letters[index].state = .resting
        }
      case 8:
        let age = Int64.random(in: 1...2000, using: &random)
        let most = Int.random(in: 0...60, using: &random)
        let resting = reference.letters.filter { $0.state == .resting }
        let total = reference.kept.count { $0.state != .leaving }
        var excess = max(0, total - most)
        let expected = resting.filter { letter in
          if now - letter.arrived >= age || excess > 0 {
            excess = max(0, excess - 1)
            return true
          }
          return false
        }
        try #require(
          machine.expired(maximumAge: age, maximumCount: most, now: now) == expected.map(\.id),
          "seed \(seed) step \(step)")
      default:
        var filter = DeadLetter.Filter()
        if Bool.random(using: &random) { filter.kind = "k1" }
        if Bool.random(using: &random) { filter.fingerprint = "fk1" }
        if Bool.random(using: &random) { filter.olderThan = .nanoseconds(500) }
        if Bool.random(using: &random) { filter.minimumRedrives = 1 }
        let matching = reference.kept.filter { letter in
          letter.state != .leaving && (filter.kind.map { letter.kind == $0 } ?? true)
            && (filter.fingerprint.map { letter.fingerprint == $0 } ?? true)
            && (filter.olderThan == nil || now - letter.arrived >= 500)
            && letter.redrives >= filter.minimumRedrives ?? 0
        }
        let limit = Int.random(in: 1...10, using: &random)
        let selector = machine.selector(for: filter, now: now)
        let up = selector.map {
          machine.select($0, after: target, order: .oldestFirst, limit: limit)
        }
        try #require(
          up ?? [] == matching.map(\.id).filter { $0 > target }.prefix(limit).map { $0 },
          "seed \(seed) step \(step)")
        let down = selector.map {
          machine.select($0, after: target, order: .newestFirst, limit: limit)
        }
        try #require(
          down ?? []
            == matching.map(\.id).reversed().filter { $0 < target }.prefix(limit).map { $0 },
          "seed \(seed) step \(step)")
        let groups = selector.map { machine.groups($0) } ?? []
        try #require(groups.reduce(0) { $0 + $1.count } == matching.count)
        try #require(Set(groups.map(\.fingerprint)) == Set(matching.map(\.fingerprint)))
      }
      // A look at everything costs more than the operation.
      guard step % 8 == 0 else { continue }
      let resting = reference.letters.filter { $0.state != .leaving }
      try #require(machine.count == reference.kept.count, "seed \(seed) step \(step)")
      try #require(machine.bytes == resting.reduce(0) { $0 + $1.size }, "seed \(seed) step \(step)")
      try #require(
        machine.redriving == reference.letters.count { $0.state == .redriving }, "seed \(seed)")
      // What came is here or gone, and words are kept for no one else.
      try #require(reference.added == reference.kept.count + reference.gone)
      try #require(machine.kinds.count == Set(reference.letters.map(\.kind)).count)
      try #require(machine.fingerprints.count == Set(reference.letters.map(\.fingerprint)).count)
    }
    #expect(reference.added > 500, "\(reference.added)")
  }

  @Test func gapsAreClosedWhileLettersComeAndGo() {
    var machine = LetterMachine(.init())
    for round in 1...50_000 {
      guard case .admitted(let id, _) = machine.admit(head("k", "f"), size: 10, arrived: 0) else {
        Issue.record("full at \(round)")
        return
      }
      _ = machine.arrive(id, at: .memory([]), now: 0)
      if round > 100 { machine.depart(machine.beginDeparture([id - 100])) }
    }
    #expect(machine.count == 100 && machine.table.entries.count < 1000)
  }
}
