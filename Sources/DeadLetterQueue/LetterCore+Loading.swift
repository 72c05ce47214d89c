extension LetterCore {
  /// Reads a log into an index.
  static nonisolated(nonsending) func load(
    _ log: AppendLog, _ configuration: DeadLetterConfiguration
  ) async throws -> State {
    let clock = NanosecondClock(configuration.clock)
    let (now, moment) = (clock.now, configuration.moments?() ?? .now)
    var machine = LetterMachine(configuration.limits)
    var unknown: [AppendLog.Place] = []
    var generation: UInt64 = 0
    var end: Int64 = 0
    for try await record in log.records() {
      generation = record.next.generation
      end = record.next.offset
      let place = AppendLog.Place(
        offset: record.position.offset, length: Int(end - record.position.offset))
      switch LetterLine.read(record.payload) {
      case .letter(let id, let head):
        let age = head.arrived.elapsed(until: moment, atMost: .farAway).nanoseconds
        machine.load(
          id, head, size: place.length, arrived: now.subtractingClamped(age),
          place: .log(place, generation: generation))
      case .gone(let ids): machine.loadDeparture(ids)
      case .redrive(let id, let count): machine.loadRedrives(id, count: count)
      case .next(let id): machine.loadNextID(id)
      case .unknown: unknown.append(place)
      }
    }
    var state = State(machine: machine)
    state.unknown = unknown
    state.ledger = LogLedger(AppendLog.Position(generation: generation, offset: end))
    return state
  }

  /// Reads the log again, for who may only read.
  nonisolated(nonsending) func reload() async throws {
    guard let log, state.withLock({ $0.readOnlyReason != nil }) else { return }
    let fresh = try await Self.load(log, configuration)
    state.withLock { state in
      state.machine = fresh.machine
      state.ledger = fresh.ledger
      state.unknown = fresh.unknown
    }
  }

  /// The most bytes that are read at once, unless a single record has more.
  private static let longestRead = 4 << 20

  /// The records of some letters, at least of the first one: as many as are read at once.
  ///
  /// - Returns: For each the record and its redrives; `nil` for one that has gone.
  nonisolated(nonsending) func records(
    of ids: some Collection<UInt64>
  ) async throws -> [(record: [UInt8], redrives: Int)?] {
    var triesLeft = 8
    while true {
      triesLeft -= 1
      let (places, compaction, generation) = state.withLock { state in
        (state.machine.places(of: ids), state.compaction, state.ledger?.generation ?? 0)
      }
      var wanted: [AppendLog.Place] = []
      var bytes = 0
      var count = 0
      var isMixed = false
      for place in places {
        if case .log(let place, let itsGeneration)? = place?.place {
          if bytes > 0 && bytes + place.length > Self.longestRead { break }
          wanted.append(place)
          bytes += place.length
          if itsGeneration != generation { isMixed = true }
        }
        count += 1
      }
      do throws(StoreError) {
        if isMixed { throw StoreError(.stalePosition, path: log?.path ?? "") }
        var found = try await log?.payloads(at: wanted, generation: generation)[...] ?? []
        return zip(ids, places.prefix(count)).map {
          (id, place) -> (record: [UInt8], redrives: Int)? in
          guard let place else { return nil }
          switch place.place {
          case .memory(let record): return (record, place.redrives)
          case .lost: return nil
          case .log:
            guard let record = found.removeFirst() else {
              lose(id)
              return nil
            }
            return (record, place.redrives)
          }
        }
      } catch {
        guard error.code == .stalePosition, triesLeft > 0 else { throw error }
      }
      // The log has moved, and the index is about to learn of it.
      if let compaction { _ = try? await compaction.value } else { try await reload() }
    }
  }

  /// A letter whose record is no good any more.
  private func lose(_ id: UInt64) {
    let hasGone = state.withLock { state in
      guard state.machine.loseRecord(id) else { return false }
      state.counts.damaged += 1
      return true
    }
    if hasGone { tellOfDamage([id]) }
  }

  /// Says that letters went with their records.
  func tellOfDamage(_ ids: [UInt64]) {
    if !ids.isEmpty { tell(.departed(ids.map { DeadLetter.ID(rawValue: $0) }, .damaged)) }
  }
}
