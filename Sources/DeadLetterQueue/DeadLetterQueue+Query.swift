extension DeadLetterQueue {
  /// Some letters, with where to go on.
  ///
  ///     var cursor: DeadLetter.Cursor?
  ///     repeat {
  ///       let page = try await queue.letters(matching: .kind("charge"), after: cursor)
  ///       show(page.letters)
  ///       cursor = page.next
  ///     } while cursor != nil
  ///
  /// A page may be shorter than the limit when its letters are large (64 MiB); only a missing ``DeadLetter/Page/next``
  /// is the end.
  ///
  /// - Parameters:
  ///   - filter: Which letters.
  ///   - cursor: Where to begin; `nil` for the first page. Its order counts, not `order`.
  ///   - limit: The most letters, 1 or more; less traps.
  ///   - order: By id.
  /// - Returns: The letters.
  /// - Throws: `StoreError` when the disk can't be read; `CancellationError` between pieces.
  /// - Complexity: O(letters) for a look at the index, and the records of the page; with a text, the records up to the last
  ///   one of the page.
  public nonisolated(nonsending) func letters(
    matching filter: DeadLetter.Filter = .all, after cursor: DeadLetter.Cursor? = nil,
    limit: Int = 50, order: DeadLetter.Order = .oldestFirst
  ) async throws -> DeadLetter.Page {
    precondition(limit > 0, "limit must be greater than zero")
    return try await core.page(matching: filter, after: cursor, limit: limit, order: order)
  }

  /// One letter.
  ///
  /// - Parameter id: Its name.
  /// - Returns: The letter, `nil` when it is not here.
  /// - Throws: `StoreError` when the disk can't be read.
  public nonisolated(nonsending) func letter(_ id: DeadLetter.ID) async throws -> DeadLetter? {
    try await core.letter(id.rawValue)?.letter
  }

  /// How many letters match.
  ///
  /// - Parameter filter: Which letters; its text is looked for in the records.
  /// - Throws: `StoreError` when the disk can't be read; `CancellationError`.
  /// - Complexity: O(letters); with a text, O(bytes).
  public nonisolated(nonsending) func count(
    matching filter: DeadLetter.Filter
  ) async throws -> Int {
    if filter.text == nil { return core.ids(matching: filter, order: .oldestFirst).count }
    return try await core.allIDs(matching: filter).count
  }

  /// How many letters there are.
  public var count: Int { core.state.withLock { $0.machine.count } }

  /// Letters with the same trouble, largest group first.
  ///
  /// - Parameter filter: Which letters; a text in it is not looked at.
  /// - Complexity: O(letters).
  public func groups(matching filter: DeadLetter.Filter = .all) -> [DeadLetter.Group] {
    let now = core.now
    return core.state.withLock { state in
      state.machine.selector(for: filter, now: now).map { state.machine.groups($0) } ?? []
    }
  }

  /// How the queue stands, and what it has done since it was opened.
  ///
  /// - Complexity: O(letters).
  public var statistics: DeadLetterStatistics { core.statistics }

  /// How the log has fared, `nil` in memory: healed ends, bad records, why it is read only.
  public var health: AppendLog.Health? { core.log?.health }

  /// Looks at what the owner has done since, for a queue that was opened to read; does nothing for others.
  ///
  /// - Throws: `StoreError` when the disk can't be read; `CancellationError`.
  /// - Complexity: O(size of the file).
  public nonisolated(nonsending) func refresh() async throws { try await core.reload() }
}

extension DeadLetterQueue: MetricsSource {
  /// `dead_letter_jobs` and the counts as `dead_letter_…_total`, with the queue's name as a label.
  public func samples() -> [MetricSample] {
    let statistics = core.statistics
    let labels = [(name: "queue", value: configuration.name)]
    var samples = [
      MetricSample(
        name: "dead_letter_jobs", kind: .gauge, labels: labels, value: Double(statistics.count),
        help: "Dead letters now"),
      MetricSample(
        name: "dead_letter_bytes", kind: .gauge, labels: labels, value: Double(statistics.bytes),
        help: "Bytes of all dead letters as they are stored"),
      MetricSample(
        name: "dead_letter_oldest_age_seconds", kind: .gauge, labels: labels,
        value: statistics.oldestAge?.seconds ?? 0, help: "How long the oldest dead letter is here"),
    ]
    let counts = statistics.counts
    let figures: [(String, Int, String)] = [
      ("added", counts.added, "Dead letters that came"),
      ("refused", counts.refused, "Dead letters refused"),
      ("dropped", counts.dropped, "Dead letters lost for lack of room"),
      ("spilled", counts.spilled, "Dead letters moved to the archive for lack of room"),
      ("discarded", counts.discarded, "Dead letters discarded"),
      ("expired", counts.expired, "Dead letters past their retention"),
      ("damaged", counts.damaged, "Dead letters whose record went bad"),
      ("undecodable", counts.undecodable, "Dead letters met whose payload does not decode"),
    ]
    samples += figures.map { name, value, help in
      MetricSample(
        name: "dead_letter_\(name)_total", kind: .counter, labels: labels, value: Double(value),
        help: help)
    }
    let results = [
      ("succeeded", counts.redriven), ("failed", counts.failedAgain),
      ("cancelled", counts.redrivesCancelled),
    ]
    samples += results.map { result, value in
      MetricSample(
        name: "dead_letter_redrives_total", kind: .counter,
        labels: labels + [(name: "result", value: result)], value: Double(value),
        help: "Redrives by how they ended")
    }
    return samples
  }
}
