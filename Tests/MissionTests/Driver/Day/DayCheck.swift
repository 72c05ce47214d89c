import Reliability

/// A day, and the same day again: it adds up, nothing of it is left, and the second is as the first.
enum DayCheck {
  static func run(_ arguments: Arguments, _ findings: Findings) throws {
    let pause = max(1, arguments.int("pause", default: 15))
    for seed in arguments.seed..<arguments.seed + UInt64(max(1, arguments.int("days", default: 1)))
    {
      findings.note("seed \(seed)")
      let day = try Day.run(seed: seed, pause: pause)
      check(day, findings)
      let before = Process.heapBytes
      let again = try Day.run(seed: seed, pause: pause)
      let growth = Process.heapBytes - before
      findings.expect(again.digest == day.digest, "the same seed gave another day")
      findings.expect(growth < 256 << 10, "a day left \(growth) bytes")
      findings.note("digest \(day.digest), \(growth) bytes left by the second time")
    }
  }

  private static func check(_ day: Day.Record, _ findings: Findings) {
    let letters = day.letters
    findings.note(
      "\(day.enqueued) jobs: \(day.completed) completed, \(day.dead) dead, \(day.redriven) redriven; "
        + "\(day.openings) openings, \(day.checks) checks, \(day.alerts) alerts, "
        + "\(letters.expired) letters expired, \(letters.kept) kept; "
        + "at most \(day.mostAlarms.first) alarms in the morning, \(day.mostAlarms.last) at night")
    findings.expect(day.live == 0, "\(day.live) jobs never ended")
    findings.expect(
      day.completed + day.dead == day.enqueued,
      "\(day.completed) + \(day.dead) of \(day.enqueued) jobs")
    findings.expect(letters.added == day.dead, "\(letters.added) letters for \(day.dead) dead jobs")
    findings.expect(
      letters.added == letters.kept + day.redriven + letters.expired,
      "letters: \(letters.added) came, \(letters.kept) are there, \(day.redriven) were redriven, "
        + "\(letters.expired) expired")
    findings.expect(day.alarmsLeft == 0, "\(day.alarmsLeft) alarms are left")
    findings.expect(
      day.mostAlarms.last <= 2 * day.mostAlarms.first + 50,
      "alarms grow: \(day.mostAlarms.first) in the morning, \(day.mostAlarms.last) at night")
    findings.expect(day.openings > 0, "the breaker never opened")
    findings.expect(day.checks > 2000, "only \(day.checks) checks")
    findings.expect(day.dead > 0 && day.alerts > 0, "an outage without dead jobs or alerts")
  }
}
