import Synchronization

/// A number that threads share.
package final class Tally: Sendable {
  private let atomic = Atomic<Int>(0)

  package init() {}

  package var value: Int {
    get { atomic.load(ordering: .sequentiallyConsistent) }
    set { atomic.store(newValue, ordering: .sequentiallyConsistent) }
  }

  /// Adds one.
  ///
  /// - Returns: The number before.
  @discardableResult
  package func next() -> Int { atomic.add(1, ordering: .sequentiallyConsistent).oldValue }
}
