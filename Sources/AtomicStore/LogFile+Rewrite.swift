internal import ReliabilityIO

extension LogFile {
  /// Goes on in a new file with the same content, so that positions stay good, after the old one could not be synced.
  ///
  /// What was acknowledged was synced before and can be read back. Other processes notice the new file when they
  /// next have the lock.
  ///
  /// - Parameters:
  ///   - kept: How many bytes of the old file to copy.
  ///   - lines: What comes after them.
  ///   - cause: The sync that failed.
  mutating func rewrite(
    keeping kept: Int64, adding lines: [UInt8], because cause: SystemCallError
  ) throws(StoreError) {
    var copy = try TemporaryFile(
      for: place.path, options: AtomicFile.Options(), fileSystem: place.fileSystem)
    guard copy.target.existing.map(FileIdentity.init) == identity else {
      throw copy.abandon(.targetChanged, cause)
    }
    try copy.append(0..<kept, of: file!)
    try copy.append(lines.span)
    let size = copy.size
    let outcome = try copy.publish()
    try adopt(outcome, size: size, header: header)
    news.kinds.append(.rewrittenAfterFailedSync(cause))
  }

  /// Makes a file that was just given the log's name the open one.
  mutating func adopt(
    _ outcome: PublishOutcome, size: Int64, header: LogHeader?
  ) throws(StoreError) {
    try open()
    self.header = header
    end = size
    do throws(StoreError) {
      try settleName(outcome)
    } catch {
      // The next synced append begins with yet another file: a directory's sync can't be repeated either.
      poison = error.cause
      throw error
    }
  }

  /// Recovers from a sync that failed in an earlier turn.
  mutating func repair() throws(StoreError) {
    guard let cause = poison else { return }
    if isShared { throw StoreError(.syncFailed, path: place.path, cause: cause) }
    let good: Int64
    do throws(SystemCallError) {
      let size = try file!.status().size
      good = try LogFile.goodEnd(of: file!, size: size)
      if good < size {
        let path: String
        do throws(StoreError) {
          path = try saveTail(good..<size)
        } catch {
          throw error.cause ?? cause
        }
        news.kinds.append(.healed(.init(offset: good, length: size - good, savedAs: path)))
      }
    } catch {
      throw self.error(error)
    }
    try rewrite(keeping: good, adding: [], because: cause)
  }
}
