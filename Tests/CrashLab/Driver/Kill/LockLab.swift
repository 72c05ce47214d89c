import ReliabilityIO

/// Many processes, one lock, and a killer: nobody may be inside with somebody else.
///
/// `--directory` says where, `--processes` how many, `--milliseconds` how long.
struct LockLab {
  /// No pause in which nobody gets the lock may be longer, in nanoseconds.
  private static let longestStall: Int64 = 1_000_000_000

  static func run(_ arguments: Arguments) -> Int32 {
    var verdict = Verdict("kill/lock")
    let folder = Files.fresh(arguments["directory"] + "/lock")
    let diary = folder + "/diary"
    let file = System.openToAppend(diary)
    let killer = Killer(
      count: arguments.int("processes", default: 20), seed: arguments.seed,
      willKill: { System.append("kill \($0)", to: file) },
      start: { serial, _ in
        var words = ["contend", "--directory", folder, "--serial", "\(serial)"]
        if let bug = arguments.bug { words += ["--bug", bug.rawValue] }
        return Child(lab: words)
      })
    killer.run(for: arguments.duration, every: 2...6) {
      Int(Files.text(folder + "/owner")?.prefix { $0.isNumber } ?? "")
    }
    verdict.add(killer.endedByThemselves)
    let reading = Diary(Files.text(diary) ?? "")
    verdict.add(reading.violations)
    verdict.require(reading.acquisitions > killer.kills / 4, "hardly anyone got the lock")
    verdict.require(
      reading.longestStall <= longestStall,
      "nobody got the lock for \(reading.longestStall / 1_000_000) ms")
    verdict.figure("kills", killer.kills)
    verdict.figure("kills of the holder", reading.holdersKilled)
    verdict.figure("acquisitions", reading.acquisitions)
    verdict.figure("overlaps", reading.overlaps)
    verdict.figure("longest stall", "\(reading.longestStall / 1_000_000) ms")
    return verdict.print()
  }
}

/// What the contenders wrote, in the order in which the kernel appended it.
///
/// A holder writes after it got the lock and before it gives it up, and the killer writes before it kills: so whoever
/// enters while another is inside and not yet killed overlaps with it.
struct Diary {
  private(set) var violations: [String] = []
  private(set) var acquisitions = 0
  private(set) var overlaps = 0
  private(set) var holdersKilled = 0
  private(set) var longestStall: Int64 = 0

  private var holder: Substring?
  private var killed: Set<Substring> = []
  private var highest: (epoch: UInt64, turn: UInt64) = (0, 0)
  private var lastEntry: Int64?

  init(_ text: String) {
    for line in text.split(separator: "\n") {
      let words = line.split(separator: " ")
      guard words.count >= 2 else { continue }
      switch words[0] {
      case "kill": killed.insert(words[1])
      case "enter": enter(words)
      case "inside", "leave":
        if holder != words[1] { overlap("\(words[1]) was inside while \(holder ?? "nobody") was") }
        if words[0] == "leave" { holder = nil }
      default: violations.append("process \(words[1]): \(line)")
      }
    }
  }

  private mutating func overlap(_ text: String) {
    overlaps += 1
    violations.append(text)
  }

  private mutating func enter(_ words: [Substring]) {
    guard words.count == 5, let epoch = UInt64(words[2]), let turn = UInt64(words[3]),
      let time = Int64(words[4])
    else { return violations.append("unreadable: \(words)") }
    acquisitions += 1
    if let holder {
      let process = holder.prefix { $0 != "." }
      if killed.contains(process) {
        holdersKilled += 1
      } else {
        overlap("\(words[1]) entered beside \(holder)")
      }
    }
    if (epoch, turn) <= highest {
      violations.append("the token \(epoch)-\(turn) came after \(highest)")
    }
    highest = (epoch, turn)
    if let lastEntry { longestStall = max(longestStall, time - lastEntry) }
    lastEntry = time
    holder = words[1]
  }
}
