@testable import ResourcePooling

/// What a pool must do, as plainly as it can be said: lists that are searched, no alarm, no short cut.
struct ReferencePool {
  enum State { case creating, idle, lent, checking, returning, closing }

  struct Resource {
    var number: Int
    var state = State.creating
    var idleSince: Int64 = 0
    var idleLimit = Int64.max
    var expiresAt = Int64.max
    var errorsInRow = 0
    var fate: String?
    /// Nobody counts on what is being done to it.
    var isDoubtful = false
    var failuresBefore = 0
  }

  let rules: PoolRules
  /// Where every resource is; the idle ones in the order in which they became so.
  var resources: [Resource] = []
  var line: [Int] = []
  var failures = 0
  var retryAt = Int64.min
  var keepsWarm = false
  var isStopping = false
  var isStopped = false
  var recallAt = Int64.max
  var created = 0
  var closed = 0
  var attempts = 0
  /// What is to be done, since it was last asked for.
  var done: [String] = []

  func numbers(_ state: State) -> [Int] {
    resources.filter { $0.state == state }.map(\.number)
  }

  private func count(_ states: State...) -> Int {
    resources.filter { states.contains($0.state) }.count
  }

  private var live: Int { resources.count - count(.closing) }
  private var made: Int { live - count(.creating) }

  private static let onTheWay: [State] = [.creating, .checking, .returning]

  /// How many will come to those in line.
  private var coming: Int {
    resources.filter { Self.onTheWay.contains($0.state) && !$0.isDoubtful }.count
  }

  /// Whether nothing can come without being made first.
  private var isHopeless: Bool { coming + count(.idle, .lent) == 0 }

  private func mayCreate(_ now: Int64) -> Bool {
    let hasAttempt = resources.contains { $0.state == .creating && !$0.isDoubtful }
    return resources.count < rules.maximum && (failures == 0 || (now >= retryAt && !hasAttempt))
  }

  private func place(of number: Int) -> Int? { resources.firstIndex { $0.number == number } }

  private mutating func put(_ number: Int, _ state: State) {
    resources[place(of: number)!].state = state
    resources[place(of: number)!].isDoubtful = false
  }

  private mutating func close(_ number: Int, _ reason: String) {
    put(number, .closing)
    done.append("close \(number) \(reason)")
  }

  private mutating func available(_ number: Int, mustCheck: Bool, _ now: Int64) {
    if line.isEmpty {
      // The last one in the list is the one that became idle last.
      var resource = resources.remove(at: place(of: number)!)
      resource.state = .idle
      resource.isDoubtful = false
      resource.idleSince = now
      resources.append(resource)
    } else if mustCheck, rules.checksOnLend, rules.checkAfterIdle == 0 {
      put(number, .checking)
      done.append("check \(number)")
    } else {
      put(number, .lent)
      done.append("serve \(line.removeFirst()) \(number)")
    }
  }

  private mutating func settle(_ now: Int64) {
    if isStopping {
      if resources.isEmpty, !isStopped {
        isStopped = true
        done.append("finish")
      }
      return
    }
    func create() {
      attempts += 1
      resources.append(Resource(number: attempts, failuresBefore: failures))
      done.append("create \(attempts)")
    }
    while line.count > coming {
      if let last = numbers(.idle).last {
        put(last, .checking)
        done.append("check \(last)")
      } else if mayCreate(now) {
        create()
      } else {
        break
      }
    }
    while keepsWarm, live < rules.minimum, mayCreate(now) { create() }
    if failures > 0, now < retryAt, isHopeless {
      for waiter in line { done.append("refuse \(waiter)") }
      line = []
    }
  }

  /// - Returns: The resource it got, or whether it is in line.
  mutating func lend(_ waiter: Int, hasTime: Bool, _ now: Int64) -> (got: Int?, waits: Bool) {
    if isStopping { return (nil, false) }
    if line.isEmpty, let last = resources.last(where: { $0.state == .idle }),
      !rules.checksOnLend || now - last.idleSince < rules.checkAfterIdle
    {
      put(last.number, .lent)
      return (last.number, false)
    }
    var free = coming + count(.idle)
    if failures == 0 {
      free += rules.maximum - resources.count
    } else if mayCreate(now) {
      free += 1
    }
    if !hasTime || line.count >= rules.maximumWaiters + free { return (nil, false) }
    line.append(waiter)
    settle(now)
    return (nil, true)
  }

  mutating func leave(_ waiter: Int) { line.removeAll { $0 == waiter } }

  mutating func takeBack(_ number: Int, _ use: PoolUse, _ now: Int64) {
    guard let index = place(of: number), resources[index].state == .lent else { return }
    var fate: String?
    switch use {
    case .succeeded: resources[index].errorsInRow = 0
    case .failed: resources[index].errorsInRow += 1
    case .unknown: break
    case .discarded: fate = "discarded"
    case .discardedAfterError:
      resources[index].errorsInRow += 1
      fate = "discarded"
    }
    if fate == nil, resources[index].errorsInRow >= rules.maximumErrors { fate = "errors" }
    if fate == nil, isStopping { fate = "stopped" }
    if fate == nil, now >= resources[index].expiresAt { fate = "age" }
    if rules.rollsBack || (rules.checksOnReturn && fate == nil) {
      resources[index].fate = fate
      put(number, .returning)
      resources[index].isDoubtful = fate != nil
      done.append("cleanUp \(number) \(rules.checksOnReturn && fate == nil)")
    } else if let fate {
      close(number, fate)
    } else {
      available(number, mustCheck: true, now)
    }
    settle(now)
  }

  private func reason(_ number: Int, _ now: Int64) -> String? {
    if isStopping { return "stopped" }
    return now >= resources[place(of: number)!].expiresAt ? "age" : nil
  }

  mutating func cleanedUp(_ number: Int, _ verdict: String?, _ now: Int64) {
    if let fate = resources[place(of: number)!].fate ?? verdict ?? reason(number, now) {
      close(number, fate)
    } else {
      available(number, mustCheck: true, now)
    }
    settle(now)
  }

  mutating func checked(_ number: Int, _ isHealthy: Bool, _ now: Int64) {
    if let fate = isHealthy ? reason(number, now) : "unhealthy" {
      close(number, fate)
    } else {
      available(number, mustCheck: false, now)
    }
    settle(now)
  }

  mutating func made(_ number: Int, idleLimit: Int64, expiresAt: Int64, _ now: Int64) {
    created += 1
    failures = 0
    resources[place(of: number)!].idleLimit = idleLimit
    resources[place(of: number)!].expiresAt = expiresAt
    if let reason = reason(number, now) {
      close(number, reason)
    } else {
      available(number, mustCheck: false, now)
    }
    settle(now)
  }

  mutating func notMade(_ number: Int, _ now: Int64) {
    let before = resources[place(of: number)!].failuresBefore
    resources.removeAll { $0.number == number }
    if !isStopping {
      if before >= failures { failures += 1 }
      retryAt = now + rules.backoff.delayWithoutJitter(afterAttempt: failures).nanoseconds
      if isHopeless {
        for waiter in line { done.append("refuse \(waiter)") }
        line = []
      }
    }
    settle(now)
  }

  mutating func overran(_ number: Int, _ now: Int64) {
    guard let index = place(of: number), Self.onTheWay.contains(resources[index].state) else {
      return
    }
    resources[index].isDoubtful = true
    settle(now)
  }

  mutating func wasClosed(_ number: Int, _ now: Int64) {
    resources.removeAll { $0.number == number }
    closed += 1
    settle(now)
  }

  mutating func warm(_ now: Int64) {
    keepsWarm = true
    settle(now)
  }

  mutating func stop(recallAt: Int64, _ now: Int64) {
    if isStopped { return }
    isStopping = true
    self.recallAt = min(self.recallAt, recallAt)
    for waiter in line { done.append("refuse \(waiter)") }
    line = []
    for number in numbers(.idle) { close(number, "stopped") }
    for number in numbers(.creating) { done.append("cancel \(number)") }
    if now >= self.recallAt { for number in numbers(.lent) { close(number, "recalled") } }
    settle(now)
  }

  /// The next moment at which time alone brings something about.
  func nextMoment(after now: Int64) -> Int64? {
    var moments: [Int64] = []
    if isStopping {
      if count(.lent) > 0 { moments.append(recallAt) }
    } else {
      for resource in resources where resource.state == .idle {
        moments.append(resource.expiresAt)
        if made > rules.minimum {
          moments.append(resource.idleSince.saturatingAdd(resource.idleLimit))
        }
      }
      if failures > 0, !line.isEmpty || (keepsWarm && live < rules.minimum), retryAt > now {
        moments.append(retryAt)
      }
    }
    return moments.filter { $0 != .max }.min()
  }

  mutating func pass(to now: Int64) {
    if isStopping {
      if now >= recallAt { for number in numbers(.lent) { close(number, "recalled") } }
    } else {
      for resource in resources where resource.state == .idle {
        if now >= resource.expiresAt {
          close(resource.number, "age")
        } else if now >= resource.idleSince.saturatingAdd(resource.idleLimit), made > rules.minimum
        {
          close(resource.number, "idle")
        }
      }
    }
    settle(now)
  }
}
