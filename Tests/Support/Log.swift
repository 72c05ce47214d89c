import ReliabilityCore

/// A list that several tasks may add to.
package final class Log<Element: Sendable>: Sendable {
  private let elements = Lock<[Element]>([])

  package init() {}

  package func append(_ element: Element) { elements.withLock { $0.append(element) } }
  package var all: [Element] { elements.withLock { $0 } }
  package var count: Int { all.count }
}
