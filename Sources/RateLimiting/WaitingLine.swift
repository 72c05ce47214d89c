/// What a place in a line is left with; no two places of a line have the same.
struct LineTicket: Hashable, Sendable {
  fileprivate var index: Int
  fileprivate var serial: UInt64
}

/// A first-in, first-out line that anyone may leave from the middle.
///
/// A list threaded through an array: joining, serving and leaving take constant time wherever one stands, also when
/// thousands leave at once. The memory is that of the longest line there was, until the line is empty.
struct WaitingLine<Element: Sendable>: Sendable {
  private struct Place: Sendable {
    /// Zero when the place is free; then `next` is the next free place.
    var serial: UInt64
    var element: Element?
    var previous: Int
    var next: Int
  }

  private static var none: Int { -1 }

  private var places: [Place] = []
  private var free = Self.none
  private var front = Self.none
  private var back = Self.none
  private var lastSerial: UInt64 = 0
  private(set) var count = 0

  var isEmpty: Bool { count == 0 }

  /// Adds an element at the end, and returns the ticket with which it may leave.
  mutating func append(_ element: Element) -> LineTicket {
    lastSerial += 1
    let place = Place(serial: lastSerial, element: element, previous: back, next: Self.none)
    let index: Int
    if free == Self.none {
      index = places.count
      places.append(place)
    } else {
      index = free
      free = places[index].next
      places[index] = place
    }
    if back == Self.none { front = index } else { places[back].next = index }
    back = index
    count += 1
    return LineTicket(index: index, serial: lastSerial)
  }

  /// The element at the front.
  var first: Element? { front == Self.none ? nil : places[front].element }

  /// Removes the element at the front.
  mutating func removeFirst() -> Element? { front == Self.none ? nil : remove(at: front) }

  /// Takes the element with a ticket out of the line, wherever it stands; `nil` when it has left already.
  mutating func remove(_ ticket: LineTicket) -> Element? {
    guard ticket.index < places.count, places[ticket.index].serial == ticket.serial else {
      return nil
    }
    return remove(at: ticket.index)
  }

  private mutating func remove(at index: Int) -> Element? {
    let (previous, next) = (places[index].previous, places[index].next)
    if previous == Self.none { front = next } else { places[previous].next = next }
    if next == Self.none { back = previous } else { places[next].previous = previous }
    let element = places[index].element.take()
    places[index].serial = 0
    places[index].next = free
    free = index
    count -= 1
    if count == 0 && places.count > 64 {
      // Serials go on, so that no ticket of before fits a later place.
      places = []
      free = Self.none
    }
    return element
  }
}
