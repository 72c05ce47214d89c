internal import ReliabilityCore

/// The parts that a resource is put together from, so that each of them is closed whatever happens to the next.
///
///     let pool = ResourcePool(name: "browsers") { parts in
///       let driver = try await parts.add("driver") { try await Driver.start() } close: { await $0.stop() }
///       let browser = try await parts.add("browser") { try await driver.launch() } close: { try await $0.close() }
///       return browser
///     }
///
/// Parts are closed in the opposite order of their opening: the browser, then the driver. That is so when the resource is closed
/// in the end, and at once when a later part can't be opened; the error of opening is what counts then, and closers that throw are
/// told to the observer.
public final class ResourceParts: Sendable {
  private struct State {
    var closers: [BoundCloser] = []
    var isComplete = false
  }

  private let state = Lock(State())

  init() {}

  /// Opens a part, and remembers how to close it.
  ///
  /// To be called while the resource is being made, and not afterwards, which traps. May be called from child tasks; the order
  /// is that in which the openings ended.
  ///
  /// - Parameters:
  ///   - name: What it is, for events.
  ///   - open: Opens it. What it throws is thrown on, and there is nothing to close then.
  ///   - close: Closes it. Called once, in a task of the pool.
  /// - Returns: The part.
  public nonisolated(nonsending) func add<Part: Sendable>(
    _ name: String, open: nonisolated(nonsending) () async throws -> Part,
    close: @escaping @Sendable (Part) async throws -> Void
  ) async throws -> Part {
    requireIncomplete(state.withLock { $0.isComplete })
    let part = try await open()
    let wasComplete = state.withLock { state in
      if state.isComplete { return true }
      state.closers.append(BoundCloser(name: name) { try await close(part) })
      return false
    }
    requireIncomplete(wasComplete)
    return part
  }

  private func requireIncomplete(_ isComplete: Bool) {
    precondition(!isComplete, "a part must be added while the resource is being made")
  }

  /// The closers so far, the last part's first; no part can be added any more.
  func complete() -> [BoundCloser] {
    state.withLock { state in
      state.isComplete = true
      return state.closers.reversed()
    }
  }
}
