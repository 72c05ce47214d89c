import ReliabilityIO

/// A herd of processes of which one is killed every few milliseconds and replaced.
final class Killer {
  /// Starts the process with a serial number that no other of this run has.
  private let start: (_ serial: Int, _ place: Int) -> Child
  /// Told the serial number just before the process with it is killed.
  private let willKill: (Int) -> Void
  private var herd: [(serial: Int, child: Child)] = []
  private var random: SeededGenerator
  private var nextSerial = 1
  private(set) var kills = 0
  /// What ended although nobody killed it.
  private(set) var endedByThemselves: [String] = []

  init(
    count: Int, seed: UInt64, willKill: @escaping (Int) -> Void = { _ in },
    start: @escaping (_ serial: Int, _ place: Int) -> Child
  ) {
    self.start = start
    self.willKill = willKill
    random = SeededGenerator(seed: seed)
    for place in 0..<count { herd.append(replacement(at: place)) }
  }

  private func replacement(at place: Int) -> (serial: Int, child: Child) {
    defer { nextSerial += 1 }
    return (nextSerial, start(nextSerial, place))
  }

  /// Kills until the time is over, then everyone.
  ///
  /// - Parameters:
  ///   - milliseconds: How long to wait between two kills.
  ///   - favourite: The serial number of the process whose death would hurt most; every other kill goes for it.
  func run(
    for duration: Duration, every milliseconds: ClosedRange<Int>,
    favourite: () -> Int? = { nil }
  ) {
    let watch = Stopwatch(duration)
    // The first of the herd need a moment to be at work.
    System.sleep(microseconds: 100_000)
    while !watch.isOver {
      let pause = milliseconds.lowerBound * 1000...milliseconds.upperBound * 1000
      System.sleep(microseconds: Int.random(in: pause, using: &random))
      var place = Int.random(in: herd.indices, using: &random)
      if Bool.random(using: &random), let serial = favourite() {
        place = herd.firstIndex { $0.serial == serial } ?? place
      }
      kill(at: place)
      herd[place] = replacement(at: place)
    }
    for place in herd.indices { kill(at: place) }
  }

  private func kill(at place: Int) {
    let (serial, child) = herd[place]
    if child.hasEnded {
      endedByThemselves.append("process \(serial) ended with \(child.wait())")
      return
    }
    willKill(serial)
    child.kill()
    kills += 1
  }
}
