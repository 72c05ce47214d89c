import ReliabilityCore

package struct NeverHappened: Error {
  package var line: Int
  package init(line: Int = #line) { self.line = line }
}

/// Looks again and again, at short intervals, until something has happened on another thread.
///
/// For minutes: a busy machine lets a disk thread or a task wait for long.
package func until(line: Int = #line, _ condition: () -> Bool) async throws {
  let end = ContinuousClock.now.advanced(by: .seconds(300))
  while !condition() {
    if ContinuousClock.now > end { throw NeverHappened(line: line) }
    try await ContinuousClock().wait(for: .microseconds(200))
  }
}
