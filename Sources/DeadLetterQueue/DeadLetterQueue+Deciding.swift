extension DeadLetterQueue {
  /// Lets letters go for good, with a reason.
  ///
  /// The reason stays in the log until the next compaction, and goes to the observer. A letter that is being redriven
  /// stays.
  ///
  /// - Parameters:
  ///   - filter: Which letters: those that match when the call begins.
  ///   - reason: Why, for people. Cut to 1,024 bytes.
  /// - Returns: How many went.
  /// - Throws: `StoreError` with the path when the disk fails: then all stay. ``DeadLetterError``; `CancellationError`
  ///   before anything was decided.
  @discardableResult
  public nonisolated(nonsending) func discard(
    _ filter: DeadLetter.Filter, reason: String
  ) async throws -> Int {
    try core.requireWritable()
    let ids = try await core.allIDs(matching: filter)
    return try await core.remove(ids, as: "discarded", .discarded(reason: reason))
  }

  /// Lets one letter go for good, with a reason.
  ///
  /// - Parameters:
  ///   - id: Its name.
  ///   - reason: Why, for people.
  /// - Returns: Whether it went; `false` when it is not here or is being redriven.
  /// - Throws: As ``discard(_:reason:)``.
  @discardableResult
  public nonisolated(nonsending) func discard(
    _ id: DeadLetter.ID, reason: String
  ) async throws -> Bool {
    try await core.remove([id.rawValue], as: "discarded", .discarded(reason: reason)) == 1
  }

  /// Copies letters to a file that a queue of any payload can open to read, payloads that don't decode included.
  ///
  /// - Parameters:
  ///   - filter: Which letters.
  ///   - path: The file; what is there already stays, and a letter written twice counts once.
  /// - Returns: How many were written.
  /// - Throws: `StoreError` or `LockError`, with the path that failed; `ConfigurationError` for the queue's own file;
  ///   `CancellationError` before anything is written.
  @discardableResult
  public nonisolated(nonsending) func export(
    _ filter: DeadLetter.Filter = .all, to path: String
  ) async throws -> Int {
    let ids = try await core.allIDs(matching: filter)
    try Task.checkCancellation()
    let copy = try await LetterCore.openCopy(path, of: core.log, core.fileSystem)
    let count = try await core.copy(ids, to: copy)
    try await copy.close()
    return count
  }

  /// Removes what is past its retention now, without waiting for the timer.
  ///
  /// - Returns: How many letters went.
  /// - Throws: `StoreError` when the disk fails; ``DeadLetterError``.
  @discardableResult
  public nonisolated(nonsending) func sweep() async throws -> Int { try await core.sweep() }

  /// Rewrites the file without what has gone; letters come and go meanwhile.
  ///
  /// Done by itself when the file is larger than twice its letters and a mebibyte. A crash in the middle leaves the old file or
  /// the new one.
  ///
  /// - Returns: What was done; `nil` in memory, and when writes of before the last compaction are still under way.
  /// - Throws: `StoreError`: then the file is as it was.
  @discardableResult
  public nonisolated(nonsending) func compact() async throws -> AppendLog.Compaction? {
    try await core.compact()
  }

  /// Ends the work on the file and gives it up for another owner; later changes throw ``DeadLetterError/Code/closed``.
  ///
  /// Not needed for safety. Waits for what is being written.
  ///
  /// - Throws: `StoreError` when the last sync fails.
  public nonisolated(nonsending) func close() async throws { try await core.close() }
}
