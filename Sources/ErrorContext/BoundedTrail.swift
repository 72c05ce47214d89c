/// A list that keeps its first few and its last few elements and counts what it dropped between them.
///
/// How something began and how it ended tell the story; a million attempts in the middle do not, and must not fill
/// memory.
struct BoundedTrail<Element: Sendable>: Sendable {
  private let headLimit: Int
  private let tailLimit: Int
  private var head: [Element] = []
  // A ring once it is full; `start` is the oldest element's place.
  private var tail: [Element] = []
  private var start = 0
  private(set) var dropped = 0

  init(first headLimit: Int, last tailLimit: Int) {
    self.headLimit = headLimit
    self.tailLimit = tailLimit
  }

  var isEmpty: Bool { head.isEmpty }

  /// - Complexity: O(1).
  mutating func append(_ element: Element) {
    if head.count < headLimit {
      head.append(element)
    } else if tail.count < tailLimit {
      tail.append(element)
    } else {
      dropped += 1
      guard tailLimit > 0 else { return }
      tail[start] = element
      start = start + 1 == tailLimit ? 0 : start + 1
    }
  }

  /// Adds another trail's elements, which are all later than this one's.
  mutating func append(_ other: BoundedTrail) {
    for element in other.head { append(element) }
    dropped += other.dropped
    for element in other.tail[other.start...] { append(element) }
    for element in other.tail[..<other.start] { append(element) }
  }

  /// The kept elements, oldest first.
  var elements: [Element] { head + tail[start...] + tail[..<start] }
}
