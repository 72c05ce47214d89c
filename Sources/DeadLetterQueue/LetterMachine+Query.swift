extension LetterMachine {
  /// A filter as the index understands it; what needs the record itself is asked later.
  struct Selector: Sendable {
    var ids: Set<UInt64>?
    var kind: Int32?
    var category: Int32?
    var fingerprint: Int32?
    /// Arrived no later than, and later than, in nanoseconds of the queue's clock.
    var notAfter: Int64?
    var after: Int64?
    var redrives: ClosedRange<Int32>?

    func matches(_ entry: LetterEntry) -> Bool {
      switch entry.state {
      case .arriving, .leaving, .gone: return false
      case .resting, .redriving: break
      }
      if let kind, entry.kind != kind { return false }
      if let category, entry.category != category { return false }
      if let fingerprint, entry.fingerprint != fingerprint { return false }
      if let notAfter, entry.arrived > notAfter { return false }
      if let after, entry.arrived <= after { return false }
      if let redrives, !redrives.contains(entry.redrives) { return false }
      if let ids, !ids.contains(entry.id) { return false }
      return true
    }
  }

  /// - Returns: `nil` when no letter can match.
  func selector(for filter: DeadLetter.Filter, now: Int64) -> Selector? {
    var selector = Selector()
    selector.ids = filter.ids.map { Set($0.map(\.rawValue)) }
    if let kind = filter.kind {
      guard let number = kinds.number(of: LetterText.kind(kind)) else { return nil }
      selector.kind = number
    }
    if let category = filter.category {
      guard let number = categories.number(of: category.rawValue) else { return nil }
      selector.category = number
    }
    if let fingerprint = filter.fingerprint {
      guard let number = fingerprints.number(of: fingerprint) else { return nil }
      selector.fingerprint = number
    }
    selector.notAfter = filter.olderThan.map { now.subtractingClamped($0.clamped.nanoseconds) }
    selector.after = filter.youngerThan.map { now.subtractingClamped($0.clamped.nanoseconds) }
    if filter.minimumRedrives != nil || filter.maximumRedrives != nil {
      let low = Int32(clamping: filter.minimumRedrives ?? 0)
      let high = Int32(clamping: filter.maximumRedrives ?? .max)
      guard low <= high else { return nil }
      selector.redrives = low...high
    }
    return selector
  }

  /// Ids in order, at most so many, of letters behind one.
  func select(
    _ selector: Selector, after: UInt64?, order: DeadLetter.Order, limit: Int
  ) -> [UInt64] {
    var ids: [UInt64] = []
    guard limit > 0 else { return [] }
    switch order {
    case .oldestFirst:
      guard after != .max else { return [] }
      var index = after.map { table.lowerBound($0 + 1) } ?? table.start
      while index < table.entries.count, ids.count < limit {
        if selector.matches(table.entries[index]) { ids.append(table.entries[index].id) }
        index += 1
      }
    case .newestFirst:
      var index = after.map { table.lowerBound($0) } ?? table.entries.count
      while index > table.start, ids.count < limit {
        index -= 1
        if selector.matches(table.entries[index]) { ids.append(table.entries[index].id) }
      }
    }
    return ids
  }

  /// How many letters match.
  func count(_ selector: Selector) -> Int {
    var count = 0
    for index in table.start..<table.entries.count where selector.matches(table.entries[index]) {
      count += 1
    }
    return count
  }

  /// Letters by fingerprint, largest group first.
  func groups(_ selector: Selector) -> [DeadLetter.Group] {
    struct Sum {
      var count = 0
      var category: Int32 = 0
      var kinds: Set<Int32> = []
      var first = Int64.max
      var last = Int64.min
      var oldest: UInt64 = 0
      var newest: UInt64 = 0
    }
    var sums: [Int32: Sum] = [:]
    for index in table.start..<table.entries.count where selector.matches(table.entries[index]) {
      let entry = table.entries[index]
      var sum = sums[entry.fingerprint] ?? Sum()
      if sum.count == 0 { sum.oldest = entry.id }
      sum.count += 1
      sum.category = entry.category
      if sum.kinds.count < 16 { sum.kinds.insert(entry.kind) }
      sum.first = min(sum.first, entry.firstFailure)
      sum.last = max(sum.last, entry.lastFailure)
      sum.newest = entry.id
      sums[entry.fingerprint] = sum
    }
    return sums.map { fingerprint, sum in
      DeadLetter.Group(
        fingerprint: fingerprints[fingerprint], count: sum.count,
        category: ErrorCategory(rawValue: categories[sum.category]),
        kinds: sum.kinds.map { kinds[$0] }.sorted(),
        firstFailure: WallTime(nanosecondsSince1970: sum.first),
        lastFailure: WallTime(nanosecondsSince1970: sum.last),
        oldest: DeadLetter.ID(rawValue: sum.oldest), newest: DeadLetter.ID(rawValue: sum.newest))
    }
    .sorted { ($1.count, $0.fingerprint) < ($0.count, $1.fingerprint) }
  }

  /// When the oldest letter arrived.
  var oldestArrival: Int64? {
    var oldest: Int64?
    for index in table.start..<table.entries.count {
      let entry = table.entries[index]
      if entry.state != .gone && entry.state != .arriving {
        oldest = min(oldest ?? .max, entry.arrived)
      }
    }
    return oldest
  }
}

extension Int64 {
  func subtractingClamped(_ other: Int64) -> Int64 {
    let (difference, overflow) = subtractingReportingOverflow(other)
    return overflow ? (other > 0 ? .min : .max) : difference
  }
}

/// Texts that users give, cut to what an index can hold.
enum LetterText {
  static func kind(_ text: String) -> String {
    text.isEmpty ? "unknown" : cut(text, to: 128)
  }

  /// The text up to so many bytes, at a whole scalar.
  static func cut(_ text: String, to limit: Int) -> String {
    if text.utf8.count <= limit { return text }
    var result = ""
    var size = 0
    for scalar in text.unicodeScalars {
      size += UTF8.width(scalar)
      if size > limit { break }
      result.unicodeScalars.append(scalar)
    }
    return result
  }
}
