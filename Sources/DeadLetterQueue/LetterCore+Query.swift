extension LetterCore {
  /// The most bytes of one page, unless a single letter has more.
  private static let longestPage = 64 << 20

  /// Ids of all that match, as they are now; without a look at texts.
  func ids(matching filter: DeadLetter.Filter, order: DeadLetter.Order) -> [UInt64] {
    let now = now
    return state.withLock { state in
      guard let selector = state.machine.selector(for: filter, now: now) else { return [] }
      return state.machine.select(selector, after: nil, order: order, limit: .max)
    }
  }

  /// Ids of all that match, as they are now, texts looked at.
  nonisolated(nonsending) func allIDs(
    matching filter: DeadLetter.Filter, order: DeadLetter.Order = .oldestFirst
  ) async throws -> [UInt64] {
    let ids = self.ids(matching: filter, order: order)
    guard let match = TextMatch(filter.text) else { return ids }
    var found: [UInt64] = []
    try await forEachRecord(of: ids) { record in
      if match.matches(record) { found.append(record.id) }
      return true
    }
    return found
  }

  /// Reads letters in order until the body has enough.
  nonisolated(nonsending) func forEachRecord(
    of ids: [UInt64], _ body: (LetterRecord) throws -> Bool
  ) async throws {
    var rest = ids[...]
    while !rest.isEmpty {
      try Task.checkCancellation()
      let found = try await records(of: rest)
      rest = rest.dropFirst(found.count)
      for entry in found {
        guard let entry, let record = LetterRecord(entry.record) else { continue }
        if try !body(record) { return }
      }
    }
  }

  nonisolated(nonsending) func page(
    matching filter: DeadLetter.Filter, after cursor: DeadLetter.Cursor?, limit: Int,
    order: DeadLetter.Order
  ) async throws -> DeadLetter.Page {
    let order = cursor?.order ?? order
    let match = TextMatch(filter.text)
    let now = now
    var letters: [DeadLetter] = []
    var last = cursor?.after.rawValue
    var bytes = 0
    while letters.count < limit, bytes < Self.longestPage {
      try Task.checkCancellation()
      let wanted = match == nil ? limit - letters.count : max(256, limit - letters.count)
      let after = last
      let ids = state.withLock { state in
        guard let selector = state.machine.selector(for: filter, now: now) else {
          return [UInt64]()
        }
        return state.machine.select(selector, after: after, order: order, limit: wanted)
      }
      if ids.isEmpty { return DeadLetter.Page(letters: letters, next: nil) }
      for (id, entry) in zip(ids, try await records(of: ids)) {
        if letters.count == limit || bytes >= Self.longestPage { break }
        last = id
        guard let entry, let record = LetterRecord(entry.record),
          match?.matches(record) ?? true
        else { continue }
        bytes += entry.record.count
        letters.append(record.letter(redrives: entry.redrives))
      }
    }
    let end = last
    let hasMore = state.withLock { state in
      guard let selector = state.machine.selector(for: filter, now: now) else { return false }
      return !state.machine.select(selector, after: end, order: order, limit: 1).isEmpty
    }
    let next = end.map { DeadLetter.Cursor(after: DeadLetter.ID(rawValue: $0), order: order) }
    return DeadLetter.Page(letters: letters, next: hasMore ? next : nil)
  }

  /// One letter with its record.
  nonisolated(nonsending) func letter(
    _ id: UInt64
  ) async throws -> (letter: DeadLetter, record: LetterRecord)? {
    guard let entry = try await records(of: CollectionOfOne(id)).first ?? nil,
      let record = LetterRecord(entry.record)
    else { return nil }
    return (record.letter(redrives: entry.redrives), record)
  }

  func countUndecodable(_ id: DeadLetter.ID, _ error: any Error) {
    state.withLock { $0.counts.undecodable += 1 }
    tell(.undecodable(id, error))
  }

  var statistics: DeadLetterStatistics {
    let now = now
    return state.withLock { state in
      var statistics = DeadLetterStatistics()
      statistics.count = state.machine.count
      statistics.bytes = state.machine.bytes
      statistics.fileBytes = log == nil ? nil : state.ledger?.end
      statistics.redriving = state.machine.redriving
      statistics.oldestAge = state.machine.oldestArrival.map {
        .nanoseconds(LetterMachine.age($0, now))
      }
      statistics.unknownRecords = state.unknown.count
      statistics.counts = state.counts
      return statistics
    }
  }
}

/// A text that letters are searched for.
struct TextMatch: Sendable {
  private let needle: [UInt8]
  private let bytes: [UInt8]

  /// - Returns: `nil` when there is no text, which every letter holds.
  init?(_ text: String?) {
    guard let text, !text.isEmpty else { return nil }
    bytes = text.utf8.map(JSONText.lowercased)
    needle = JSONText.escaped(text).map(JSONText.lowercased)
  }

  func matches(_ record: LetterRecord) -> Bool { record.contains(needle, bytes: bytes) }
}
