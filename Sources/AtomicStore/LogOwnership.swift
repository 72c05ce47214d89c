/// The right of one store to write its log, held as long as this lives.
///
/// The kernel ends it with the process, however that ends.
package final class LogOwnership: Sendable {
  private let lock: BackoffLock
  private let hold: LockHold

  /// Takes the right, in a lock file `<path>.owner` beside the log.
  ///
  /// - Throws: `StoreError` with `inUse` and the owner when somebody else has it.
  package nonisolated(nonsending) init(
    _ path: String, label: String, timeout: Duration, fileSystem: FileSystem
  ) async throws {
    let path = try await AppendLog.resolvedPath(path, fileSystem: fileSystem)
    var configuration = BackoffLock.Configuration()
    configuration.label = label
    let lock = BackoffLock(
      path + ".owner", configuration: configuration, fileSystem: fileSystem)
    do {
      hold = try await lock.acquire(.exclusive, timeout: timeout)
    } catch let error as LockTimeoutError {
      throw StoreError(.inUse, path: path, owner: error.owner)
    }
    self.lock = lock
  }

  package func giveUp() { lock.release(hold) }

  deinit { lock.release(hold) }
}
