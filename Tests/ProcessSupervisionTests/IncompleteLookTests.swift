import CReliability
import ErrorContext
import ReliabilityCore
import Testing

@testable import ProcessSupervision

/// A machine's processes, some of which can't be read.
private final class Machine: @unchecked Sendable {
  var processes: [Int32: creliability_process] = [:]
  var failures: [Int32: Int32] = [:]
  var listFails = false

  func add(_ pid: Int32, parent: Int32, session: Int32, megabytes: Int64) {
    var process = creliability_process()
    process.pid = pid
    process.parent = parent
    process.group = session
    process.session = session
    process.start = UInt64(pid)
    process.resident_bytes = megabytes << 20
    process.cpu_nanoseconds = 1_000_000
    processes[pid] = process
  }

  var table: ProcessTable {
    ProcessTable { pids in
      if self.listFails { return -1 }
      let all = self.processes.keys.sorted()
      for (index, pid) in all.prefix(pids.count).enumerated() { pids[index] = pid }
      return all.count
    } read: { pid, process in
      if let failure = self.failures[pid] { return failure }
      guard let found = self.processes[pid] else { return ESRCH }
      process = found
      return 0
    }
  }
}

/// Looks at a tree of which not everything can be seen.
@Suite struct IncompleteLookTests {
  private let machine = Machine()
  // A child at 100 with two of its own, one in another session, and a stranger.
  private func tree() -> ProcessTree {
    machine.add(100, parent: 1, session: 100, megabytes: 10)
    machine.add(101, parent: 100, session: 100, megabytes: 20)
    machine.add(102, parent: 101, session: 102, megabytes: 40)
    machine.add(7, parent: 1, session: 7, megabytes: 1000)
    return ProcessTree(root: 100, source: machine.table)
  }

  @Test func aCompleteLookAddsUpTheTreeAndNothingElse() {
    var tree = tree()
    let look = tree.measure()
    #expect(look.isComplete && look.processes == 3 && look.residentBytes == 70 << 20)
  }

  @Test(arguments: [EMFILE, ENOMEM, EACCES, EIO])
  func aMemberThatCannotBeReadMakesTheLookIncomplete(failure: Int32) {
    var tree = tree()
    _ = tree.measure()
    machine.failures[102] = failure
    let look = tree.measure()
    #expect(!look.isComplete && look.residentBytes == 30 << 20)
    machine.failures = [:]
    let again = tree.measure()
    #expect(again.isComplete && again.residentBytes == 70 << 20, "the member was forgotten")
  }

  @Test(arguments: [ESRCH, ENOENT])
  func aMemberThatHasEndedInTheMiddleHasGivenItsMemoryBack(failure: Int32) {
    var tree = tree()
    _ = tree.measure()
    machine.failures[102] = failure
    let look = tree.measure()
    #expect(look.isComplete && look.residentBytes == 30 << 20)
  }

  @Test func aStrangerThatCannotBeReadChangesNothing() {
    var tree = tree()
    _ = tree.measure()
    machine.add(8, parent: 1, session: 8, megabytes: 5)
    machine.failures[8] = EACCES
    #expect(tree.measure().isComplete)
  }

  @Test func withoutAListNothingIsKnown() {
    var tree = tree()
    _ = tree.measure()
    machine.listFails = true
    let look = tree.measure()
    #expect(!look.isComplete && look.residentBytes == 0)
    machine.listFails = false
    #expect(tree.measure().residentBytes == 70 << 20)
  }

  @Test func theMeterKeepsTheLeastThatIsKnown() {
    var meter = ProcessMeter()
    var look = ProcessTree.Look()
    (look.residentBytes, look.cpuNanoseconds) = (70 << 20, 5_000_000_000)
    _ = meter.record(look, at: .now, elapsedSince: creliability_boot_nanoseconds() + 1_000_000_000)
    (look.residentBytes, look.cpuNanoseconds, look.isComplete) = (30 << 20, 0, false)
    let partial = meter.record(look, at: .now, elapsedSince: creliability_boot_nanoseconds())
    #expect(meter.memory == 70 << 20)
    #expect(partial.cpuPercent == nil && partial.memoryMegabytes == 70)
    look.residentBytes = 90 << 20
    _ = meter.record(look, at: .now, elapsedSince: creliability_boot_nanoseconds())
    #expect(meter.memory == 90 << 20 && meter.peak == 90 << 20)
    (look.residentBytes, look.isComplete) = (50 << 20, true)
    _ = meter.record(look, at: .now, elapsedSince: creliability_boot_nanoseconds())
    #expect(meter.memory == 50 << 20)
  }

  private static let second: Int64 = 1_000_000_000

  private func supervision() -> SupervisionStateMachine {
    var rules = SupervisionRules()
    rules.memory = 100 << 20
    rules.sampling = 5 * Self.second
    rules.alerts.memory = 0.8
    return SupervisionStateMachine(rules: rules, start: 0)
  }

  @Test func aPartialSumTakesNoAlertBack() {
    var machine = supervision()
    let raised = machine.sampled(memory: 85 << 20, cpuPercent: nil, cost: 0, at: 0)
    #expect(raised.contains { if case .alert(let alert) = $0 { alert.isRaised } else { false } })
    #expect(
      machine.sampled(memory: 1, cpuPercent: nil, cost: 0, isComplete: false, at: Self.second)
        .isEmpty)
    let released = machine.sampled(memory: 1, cpuPercent: nil, cost: 0, at: 2 * Self.second)
    #expect(released.contains { if case .alert(let alert) = $0 { !alert.isRaised } else { false } })
  }

  @Test func aPartialSumThatPassesTheLimitEndsTheChildAllTheSame() {
    var machine = supervision()
    let actions = machine.sampled(
      memory: 100 << 20, cpuPercent: nil, cost: 0, isComplete: false, at: 0)
    #expect(actions.contains(.stopping(.memoryLimit)))
  }

  @Test func afterAnIncompleteLookTheNextComesSoon() {
    var rules = SupervisionRules()
    rules.sampling = 5 * Self.second
    var schedule = SamplingSchedule(rules: rules, start: 0)
    _ = schedule.record(memory: 1, cpuPercent: nil, cost: 0, at: 0)
    #expect(schedule.next == 5 * Self.second)
    _ = schedule.record(memory: 1, cpuPercent: nil, cost: 0, isComplete: false, at: 0)
    #expect(schedule.next == Self.second / 2)
    // Whatever looking costs: never more than its part of the time.
    _ = schedule.record(memory: 1, cpuPercent: nil, cost: Self.second, isComplete: false, at: 0)
    #expect(schedule.next == 100 * Self.second)
  }

  @Test func aPartialSumIsNoTrend() {
    // As if more and more of the processes could be read: that is not growth.
    func alerts(isComplete: Bool) -> [ProcessAlert] {
      var schedule = SamplingSchedule(rules: supervision().rules, start: 0)
      return (1...6).flatMap { second in
        schedule.record(
          memory: second * 10 << 20, cpuPercent: nil, cost: 0, isComplete: isComplete,
          at: second * Self.second)
      }
    }
    #expect(alerts(isComplete: true).contains { $0.kind == .memoryTrend })
    #expect(!alerts(isComplete: false).contains { $0.kind == .memoryTrend })
  }
}
