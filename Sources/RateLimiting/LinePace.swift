/// How fast a line moves, from how long it took between one who was served and the next.
///
/// What a permit's holder does takes as long as it takes, so the wait in line is not known but measured. The pace is forgotten when
/// the line is empty.
struct LinePace: Sendable {
  /// So many intervals make a pace.
  private static let enough = 4
  /// The weight of a new interval among the old ones, once there are so many.
  private static let smoothing = 1.0 / 8

  private var last: Int64 = 0
  private var interval = 0.0
  private var count = 0

  /// A line begins.
  mutating func begin(now: Int64) {
    last = now
    count = 0
  }

  /// So many were served together.
  mutating func served(_ number: Int, now: Int64) {
    let each = Double(max(0, now - last)) / Double(number)
    count += 1
    interval += (each - interval) * max(Self.smoothing, 1 / Double(count))
    last = now
  }

  /// How long someone in that place of the line, the first being 1, is likely to wait; `nil` when too little is known.
  func wait(at place: Int) -> Int64? {
    count < Self.enough ? nil : Int64(min(interval * Double(place), 0x1p61))
  }
}
