internal import ReliabilityCore

// When all records are read: every job gets its place.

extension JobReplay {
  /// Gives every job its place.
  ///
  /// - Parameters:
  ///   - running: The jobs that workers of this process have, by number, with their tokens and the ends of their leases; those
  ///     of everybody else are dead.
  ///   - isReading: Whether somebody else may own the store: then what runs is left to run.
  consuming func finished(
    running: [UInt64: (token: UInt64, leaseEnd: Int64, attempts: Int)] = [:],
    isReading: Bool = false
  ) -> JobReplay {
    var result = self
    result.arrangeAll(running, isReading: isReading)
    return result
  }

  private mutating func arrangeAll(
    _ running: [UInt64: (token: UInt64, leaseEnd: Int64, attempts: Int)], isReading: Bool
  ) {
    var waiting: [JobEntry] = []
    var ended: [JobEntry] = []
    waiting.reserveCapacity(table.entries.count)
    for entry in read where table.entries[entry.record.id.rawValue] === entry {
      arrange(entry, running[entry.record.id.rawValue], isReading: isReading)
      if entry.record.state.isEnd {
        ended.append(entry)
      } else {
        table.live += 1
        if entry.holdsKey,
          let slot = table.keySlot(of: entry.record.options.unique, kindIndex: entry.kindIndex)
        {
          table.keys[slot] = entry.record.id.rawValue
        }
        waiting.append(entry)
      }
      approximateSize += 220 + Int64(entry.record.payload.count)
    }
    read = []
    for entry in Self.sorted(waiting) + ended.sorted(by: { $0.order < $1.order }) {
      entry.order = 0
      table.stand(entry)
      // A running one comes back to where it was.
      if entry.record.state == .running { entry.order = entry.place }
    }
    table.nextID = max(table.nextID, head.nextID)
    table.nextToken = max(table.nextToken, head.tokens)
    _ = table.trim(now: now)
    for id in unknownMembers.keys where table.entries[id] == nil { unknownMembers[id] = nil }
  }

  /// Jobs in the order in which they became ready.
  private static func sorted(_ jobs: [JobEntry]) -> [JobEntry] {
    // Of numbers, not of objects: that is several times as fast, and most often nothing is to be done.
    let keys = jobs.indices.map {
      (readyAt: jobs[$0].readyAt, order: jobs[$0].order, index: $0)
    }
    let isSorted = zip(keys, keys.dropFirst()).allSatisfy {
      ($0.readyAt, $0.order) < ($1.readyAt, $1.order)
    }
    if isSorted { return jobs }
    return keys.sorted { ($0.readyAt, $0.order) < ($1.readyAt, $1.order) }.map { jobs[$0.index] }
  }

  private func arrange(
    _ entry: JobEntry, _ running: (token: UInt64, leaseEnd: Int64, attempts: Int)?, isReading: Bool
  ) {
    if let running, !entry.record.state.isEnd, entry.record.attempts == running.attempts {
      // Also one that waits by the file: not every claim is recorded. A stored retry has one attempt more.
      entry.becomeReady()
      entry.record.state = .running
      (entry.token, entry.leaseEnd) = (running.token, running.leaseEnd)
      if entry.record.options.unique?.release == .started { entry.holdsKey = false }
      return
    }
    switch entry.record.state {
    case .running, .pending:
      if entry.record.state == .running {
        if isReading {
          entry.leaseEnd = .max
        } else {
          entry.record.state = .pending
          entry.token = 0
        }
      }
    case .scheduled, .retrying:
      if entry.isDated ? entry.due <= now.wall : entry.due <= now.monotonic {
        if entry.isDated { entry.readyAt = now.monotonic }
        entry.becomeReady()
        entry.record.state = .pending
      }
    case .completed, .failed, .dead, .cancelled: break
    }
  }
}
