import Reliability
import Synchronization

/// A number that tasks share.
final class Tally: Sendable {
  private let number = Atomic<Int>(0)

  var value: Int { number.load(ordering: .sequentiallyConsistent) }

  @discardableResult
  func add(_ count: Int = 1) -> Int {
    number.add(count, ordering: .sequentiallyConsistent).newValue
  }
}

/// A list that tasks share.
final class Collected<Element: Sendable>: Sendable {
  private let elements = Lock<[Element]>([])

  var all: [Element] { elements.withLock { $0 } }
  func add(_ element: Element) { elements.withLock { $0.append(element) } }
}
