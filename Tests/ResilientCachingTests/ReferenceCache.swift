/// What a cache is, in the plainest form: a list of entries, least recently used first, and a list of loads.
struct ReferenceCache {
  struct Entry {
    var name: String
    var value: Int?
    var cost: Int
    var end: Int64
    var failures = 0
    var retryAt = Int64.min
  }

  struct Load {
    var number: UInt64
    var name: String
    var startedAt: Int64
    var isRefresh: Bool
    var isCurrent = true
    var waiters: Set<UInt64> = []
  }

  enum Answer: Equatable {
    case value(Int)
    case stale(Int, starts: Bool)
    case negative
    case wait(UInt64, starts: Bool)
  }

  enum Outcome {
    case value(Int, cost: Int)
    case negative, failure, cancelled
  }

  var capacity = 4
  var maximumCost = 20
  var life: Int64 = 100
  var negativeLife: Int64 = 50
  var staleWhileRevalidate: Int64 = 40
  var staleIfError: Int64 = 80
  var lease: Int64 = 60
  var maximumRefreshes = 2
  var firstDelay: Int64 = 10
  var longestDelay: Int64 = 40

  var era: UInt64 = 0
  /// The eras that were left.
  var retired: [UInt64] = []
  var entries: [Entry] = []
  var loads: [Load] = []

  func isLate(_ era: UInt64) -> Bool { era != self.era && retired.suffix(8).contains(era) }

  mutating func arrive(_ era: UInt64) {
    if era == self.era { return }
    retired.removeAll { $0 == era }
    retired.append(self.era)
    self.era = era
    clear()
  }

  mutating func clear() {
    entries = []
    for load in loads { detach(load.name) }
  }

  mutating func get(_ name: String, _ now: Int64) -> Int? {
    guard let index = place(name, now), now < entries[index].end else { return nil }
    touch(index)
    return entries.last!.value
  }

  mutating func ask(_ name: String, ticket: UInt64, number: UInt64, _ now: Int64) -> Answer {
    if let index = place(name, now), now < entries[index].end {
      touch(index)
      return entries.last!.value.map { .value($0) } ?? .negative
    }
    if let load = loads.first(where: { $0.name == name && $0.isCurrent }),
      now - load.startedAt >= lease
    {
      detach(name)
    }
    let running = loads.firstIndex { $0.name == name && $0.isCurrent }
    if let index = place(name, now) {
      let entry = entries[index]
      let overdue = now - entry.end
      if overdue < staleWhileRevalidate || (overdue < staleIfError && now < entry.retryAt) {
        touch(index)
        let starts = running == nil && now >= entry.retryAt && hasRoom(now)
        if starts {
          loads.append(Load(number: number, name: name, startedAt: now, isRefresh: true))
        }
        return .stale(entry.value!, starts: starts)
      }
    }
    if let running {
      loads[running].waiters.insert(ticket)
      return .wait(loads[running].number, starts: false)
    }
    loads.append(
      Load(number: number, name: name, startedAt: now, isRefresh: false, waiters: [ticket]))
    return .wait(number, starts: true)
  }

  mutating func leave(_ number: UInt64, _ ticket: UInt64) {
    guard let index = loads.firstIndex(where: { $0.number == number }),
      loads[index].waiters.remove(ticket) != nil
    else { return }
    let load = loads[index]
    if load.waiters.isEmpty && !(load.isRefresh && load.isCurrent) { loads.remove(at: index) }
  }

  /// - Returns: The value that those who waited get, `nil` when they get the error.
  mutating func finish(
    _ number: UInt64, _ outcome: Outcome, _ now: Int64, swept: (String) -> Bool
  ) -> Int? {
    guard let index = loads.firstIndex(where: { $0.number == number }) else { return nil }
    let load = loads.remove(at: index)
    switch outcome {
    case .value(let value, let cost):
      if load.isCurrent { store(load.name, value, cost, now + life, now, swept) }
      return value
    case .negative:
      if load.isCurrent { store(load.name, nil, 0, now + negativeLife, now, swept) }
      return nil
    case .cancelled, .failure:
      if case .cancelled = outcome, !load.isRefresh { return nil }
      guard load.isCurrent, let index = place(load.name, now), let value = entries[index].value,
        now >= entries[index].end
      else { return nil }
      let delay = min(longestDelay, firstDelay << Int64(min(entries[index].failures, 10)))
      entries[index].failures += 1
      entries[index].retryAt = now + delay
      if case .cancelled = outcome { return nil }
      return now - entries[index].end < staleIfError ? value : nil
    }
  }

  mutating func set(
    _ name: String, _ value: Int, cost: Int, _ now: Int64, swept: (String) -> Bool
  ) {
    detach(name)
    store(name, value, cost, now + life, now, swept)
  }

  mutating func remove(_ name: String) {
    detach(name)
    entries.removeAll { $0.name == name }
  }

  mutating func removeAll(withPrefix prefix: String) {
    for load in loads where load.name.hasPrefix(prefix) { detach(load.name) }
    entries.removeAll { $0.name.hasPrefix(prefix) }
  }

  /// A refresh that has taken too long or will not be kept takes no room.
  private mutating func hasRoom(_ now: Int64) -> Bool {
    func isFull() -> Bool {
      loads.count { $0.isRefresh && $0.isCurrent } >= maximumRefreshes
    }
    if !isFull() { return true }
    for load in loads where load.isRefresh && load.isCurrent && now - load.startedAt >= lease {
      detach(load.name)
    }
    return !isFull()
  }

  /// Entries that are over may go at any time; `swept` says which of them have gone.
  private mutating func store(
    _ name: String, _ value: Int?, _ cost: Int, _ end: Int64, _ now: Int64,
    _ swept: (String) -> Bool
  ) {
    entries.removeAll { $0.name == name }
    if cost > maximumCost { return }
    entries = entries.filter { !(isOver($0, now) && swept($0.name)) }
    while entries.count >= capacity { entries.removeFirst() }
    while entries.reduce(0, { $0 + $1.cost }) > maximumCost - cost { entries.removeFirst() }
    entries.append(Entry(name: name, value: value, cost: cost, end: end))
  }

  private mutating func place(_ name: String, _ now: Int64) -> Int? {
    entries = entries.filter { !($0.name == name && isOver($0, now)) }
    return entries.firstIndex { $0.name == name }
  }

  private func isOver(_ entry: Entry, _ now: Int64) -> Bool {
    let window = entry.value == nil ? 0 : max(staleWhileRevalidate, staleIfError)
    return now >= entry.end && now - entry.end >= window
  }

  private mutating func touch(_ index: Int) { entries.append(entries.remove(at: index)) }

  private mutating func detach(_ name: String) {
    guard let index = loads.firstIndex(where: { $0.name == name && $0.isCurrent }) else { return }
    loads[index].isCurrent = false
    if loads[index].waiters.isEmpty { loads.remove(at: index) }
  }
}
