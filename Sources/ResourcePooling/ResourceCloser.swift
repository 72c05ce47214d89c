/// One step of closing a resource, with a name for reports.
///
/// A resource made of several parts has several, in the order in which they are to run:
///
///     closers: [
///       ResourceCloser("page") { try await $0.page.close() },
///       ResourceCloser("browser") { try await $0.browser.close() },
///       ResourceCloser("driver") { await $0.driver.stop() },
///     ]
///
/// All of them run, each in time of its own, also when one before threw, or was cancelled because it took too long. One that ignores
/// its cancellation keeps those after it from running until it ends.
public struct ResourceCloser<Resource: Sendable>: Sendable {
  /// What it closes, for events.
  public let name: String

  let close: @Sendable (Resource) async throws -> Void

  /// Makes a step.
  ///
  /// - Parameters:
  ///   - name: What it closes.
  ///   - close: Closes it. What it throws is told to the pool's observer and counted, and changes nothing else. Called once
  ///     for each resource.
  public init(_ name: String, _ close: @escaping @Sendable (Resource) async throws -> Void) {
    self.name = name
    self.close = close
  }
}

/// A closer with what it closes.
struct BoundCloser: Sendable {
  var name: String
  var close: @Sendable () async throws -> Void
}
