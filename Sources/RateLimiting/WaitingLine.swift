/// A first-in, first-out line that anyone may leave from the middle.
///
/// A place that was left stays empty until more than half of the places are, when they are closed up: leaving and
/// serving take amortized constant time, and the memory is bounded by the longest line of those who still wait.
struct WaitingLine<Element: Sendable>: Sendable {
  private struct Place: Sendable {
    var ticket: UInt64
    var element: Element?
  }

  private var places: [Place] = []
  private var front = 0
  private var nextTicket: UInt64 = 0
  private(set) var count = 0

  var isEmpty: Bool { count == 0 }

  /// Adds an element at the end, and returns the ticket with which it may leave.
  mutating func append(_ element: Element) -> UInt64 {
    let ticket = nextTicket
    nextTicket += 1
    places.append(Place(ticket: ticket, element: element))
    count += 1
    return ticket
  }

  /// The element at the front.
  var first: Element? {
    var index = front
    while index < places.count {
      if let element = places[index].element { return element }
      index += 1
    }
    return nil
  }

  /// Removes the element at the front.
  mutating func removeFirst() -> Element? {
    while front < places.count {
      let element = places[front].element.take()
      front += 1
      if let element {
        count -= 1
        closeUp()
        return element
      }
    }
    return nil
  }

  /// Takes the element with a ticket out of the line, wherever it stands; `nil` when it has left already.
  ///
  /// - Complexity: O(log waiting), amortized.
  mutating func remove(_ ticket: UInt64) -> Element? {
    var (low, high) = (front, places.count)
    while low < high {
      let middle = (low + high) / 2
      if places[middle].ticket < ticket { low = middle + 1 } else { high = middle }
    }
    guard low < places.count, places[low].ticket == ticket,
      let element = places[low].element.take()
    else { return nil }
    count -= 1
    closeUp()
    return element
  }

  private mutating func closeUp() {
    guard places.count > 16, places.count > 2 * count else { return }
    places = places[front...].filter { $0.element != nil }
    front = 0
  }
}
