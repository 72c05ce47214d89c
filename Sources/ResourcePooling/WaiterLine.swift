/// A first-in, first-out line that anyone may leave from the middle at once.
///
/// A doubly linked list whose nodes live in one array, so that joining, serving and leaving take constant time and none of
/// them disturbs the others. Its memory is that of the longest line so far, given back when a long line has emptied.
struct WaiterLine<Waiter: Sendable>: Sendable {
  /// A place in the line, good for leaving it once.
  struct Ticket: Hashable, Sendable {
    fileprivate var place: Int
    fileprivate var serial: UInt64
  }

  private struct Place: Sendable {
    var waiter: Waiter?
    var serial: UInt64
    var next: Int
    var previous: Int
  }

  private static var nowhere: Int { -1 }

  private var places: [Place] = []
  private var first = nowhere
  private var last = nowhere
  /// The first of the unused places, which are linked by `next`.
  private var unused = nowhere
  private var serial: UInt64 = 0
  private(set) var count = 0

  var isEmpty: Bool { count == 0 }

  /// Adds a waiter at the end.
  mutating func append(_ waiter: Waiter) -> Ticket {
    serial += 1
    let place = Place(waiter: waiter, serial: serial, next: Self.nowhere, previous: last)
    let index: Int
    if unused == Self.nowhere {
      index = places.count
      places.append(place)
    } else {
      index = unused
      unused = places[index].next
      places[index] = place
    }
    if last == Self.nowhere { first = index } else { places[last].next = index }
    last = index
    count += 1
    return Ticket(place: index, serial: serial)
  }

  /// Removes the waiter at the front.
  mutating func removeFirst() -> Waiter? {
    first == Self.nowhere ? nil : remove(at: first)
  }

  /// Takes the holder of a ticket out of the line; `nil` when it has left already.
  mutating func remove(_ ticket: Ticket) -> Waiter? {
    guard ticket.place < places.count, places[ticket.place].serial == ticket.serial,
      places[ticket.place].waiter != nil
    else { return nil }
    return remove(at: ticket.place)
  }

  private mutating func remove(at index: Int) -> Waiter? {
    let (next, previous) = (places[index].next, places[index].previous)
    if previous == Self.nowhere { first = next } else { places[previous].next = next }
    if next == Self.nowhere { last = previous } else { places[next].previous = previous }
    let waiter = places[index].waiter.take()
    places[index].next = unused
    unused = index
    count -= 1
    if isEmpty, places.count > 64 { (places, unused) = ([], Self.nowhere) }
    return waiter
  }
}
