internal import ReliabilityIO

extension AtomicFile {
  /// Adds bytes at the end.
  ///
  /// When it throws, none of the bytes count: ``size`` is what it was and the same bytes may be appended again,
  /// for instance once there is space.
  ///
  /// - Parameter bytes: The bytes.
  /// - Throws: ``StoreError``; ``StoreError/Code/closed`` after the file was published or discarded.
  public nonisolated(nonsending) func append(_ bytes: [UInt8]) async throws(StoreError) {
    try await inTurn { () throws(StoreError) in
      try self.withFile { (file) throws(StoreError) in try file.append(bytes.span) }
    }
  }

  /// Adds bytes at the end, on the calling thread.
  ///
  /// - Parameter bytes: The bytes.
  /// - Throws: ``StoreError``; see the asynchronous form.
  @available(*, noasync, message: "This blocks its thread; await the asynchronous form.")
  public func append(_ bytes: [UInt8]) throws(StoreError) {
    try append(bytes.span)
  }

  /// Adds bytes at the end, on the calling thread.
  ///
  /// - Parameter bytes: The bytes.
  /// - Throws: ``StoreError``; see the asynchronous form.
  @available(*, noasync, message: "This blocks its thread; await the asynchronous form.")
  public func append(_ bytes: Span<UInt8>) throws(StoreError) {
    try withFile { (file) throws(StoreError) in try file.append(bytes) }
  }

  /// Cuts the content to its first bytes, so that a download can be continued from there or begun again.
  ///
  /// - Parameter size: How many bytes to keep, 0 to ``size``; anything else is a programmer's error and traps.
  /// - Throws: ``StoreError``. What is left is then unknown: the file can't be published, only discarded.
  public nonisolated(nonsending) func truncate(to size: Int64) async throws(StoreError) {
    try await inTurn { () throws(StoreError) in
      try self.withFile { (file) throws(StoreError) in try file.truncate(to: size) }
    }
  }

  /// Cuts the content to its first bytes, on the calling thread.
  ///
  /// - Parameter size: How many bytes to keep, 0 to ``size``; anything else traps.
  /// - Throws: ``StoreError``; see the asynchronous form.
  @available(*, noasync, message: "This blocks its thread; await the asynchronous form.")
  public func truncate(to size: Int64) throws(StoreError) {
    try withFile { (file) throws(StoreError) in try file.truncate(to: size) }
  }

  /// Reads back what was appended, to verify a checksum before publishing.
  ///
  /// - Parameters:
  ///   - count: The most bytes to read, not negative.
  ///   - offset: Where to begin, not negative.
  /// - Returns: The bytes; fewer than `count` only at the end, none beyond it.
  /// - Throws: ``StoreError``.
  public nonisolated(nonsending) func read(
    _ count: Int, at offset: Int64
  ) async throws(StoreError) -> [UInt8] {
    try await inTurn { () throws(StoreError) in
      try self.readBlocking(count, at: offset)
    }
  }

  /// Reads back what was appended, on the calling thread.
  ///
  /// - Parameters:
  ///   - count: The most bytes to read, not negative.
  ///   - offset: Where to begin, not negative.
  /// - Returns: The bytes; fewer than `count` only at the end, none beyond it.
  /// - Throws: ``StoreError``.
  @available(*, noasync, message: "This blocks its thread; await the asynchronous form.")
  public func read(_ count: Int, at offset: Int64) throws(StoreError) -> [UInt8] {
    try readBlocking(count, at: offset)
  }

  private func readBlocking(_ count: Int, at offset: Int64) throws(StoreError) -> [UInt8] {
    precondition(count >= 0 && offset >= 0, "count and offset must not be negative")
    return try withFile { (file) throws(StoreError) in
      let available = Int(clamping: max(0, file.size - offset))
      return try [UInt8](capacity: min(count, available)) {
        (buffer: inout OutputSpan<UInt8>) throws(StoreError) in
        try file.read(into: &buffer, at: offset)
      }
    }
  }

  /// Gives the content its name, in one step, with the durability of the options.
  ///
  /// The file is finished then, whether this returns or throws. On an error the target is untouched and the
  /// temporary file is gone: what a failed sync leaves can't be trusted.
  ///
  /// - Returns: How durable the content is, and what could not be kept of the old file.
  /// - Throws: ``StoreError``; ``StoreError/Code/closed`` after the file was published or discarded.
  @discardableResult
  public nonisolated(nonsending) func publish() async throws(StoreError) -> PublishOutcome {
    try await inTurn { () throws(StoreError) in try self.publishBlocking() }
  }

  /// Gives the content its name, on the calling thread.
  ///
  /// - Returns: How durable the content is, and what could not be kept of the old file.
  /// - Throws: ``StoreError``; see the asynchronous form.
  @available(*, noasync, message: "This blocks its thread; await the asynchronous form.")
  @discardableResult
  public func publish() throws(StoreError) -> PublishOutcome {
    try publishBlocking()
  }

  func publishUncounted() throws(StoreError) -> PublishOutcome {
    try withFile { (file) throws(StoreError) in
      try file.refreshTarget()
      return try file.publish()
    }
  }

  /// Removes the temporary file and leaves the target as it is.
  ///
  /// Does nothing when the file is finished already.
  ///
  /// Also happens when the last reference goes, then on that thread and without a word about a failure.
  ///
  /// - Throws: ``StoreError`` with ``StoreError/leftover`` when the temporary file could not be removed.
  public nonisolated(nonsending) func discard() async throws(StoreError) {
    try await inTurn { () throws(StoreError) in try self.discardBlocking() }
  }

  /// Removes the temporary file, on the calling thread.
  ///
  /// - Throws: ``StoreError`` with ``StoreError/leftover`` when the temporary file could not be removed.
  @available(*, noasync, message: "This blocks its thread; await the asynchronous form.")
  public func discard() throws(StoreError) {
    try discardBlocking()
  }

  private func discardBlocking() throws(StoreError) {
    do throws(StoreError) {
      try withFile { (file) throws(StoreError) in try file.discard() }
    } catch {
      if error.code != .closed { throw error }
    }
  }
}
