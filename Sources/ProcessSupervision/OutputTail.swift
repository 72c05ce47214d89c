/// The end of an output of any length: the last so many characters.
///
/// A ring of bytes; what is cut in the middle of a character is left out.
struct OutputTail {
  private let characters: Int
  private let capacity: Int
  private var ring: [UInt8] = []
  private var next = 0

  /// How many bytes went by.
  private(set) var total: Int64 = 0

  init(characters: Int) {
    self.characters = characters
    // The longest scalar of UTF-8 has four bytes.
    capacity = characters * 4
  }

  mutating func append(_ bytes: UnsafeRawBufferPointer) {
    total &+= Int64(bytes.count)
    guard capacity > 0 else { return }
    var rest = unsafe bytes[...]
    if unsafe rest.count > capacity { unsafe rest = rest.suffix(capacity) }
    let room = capacity - ring.count
    if room > 0 {
      unsafe ring.append(contentsOf: rest.prefix(room))
      unsafe rest = rest.dropFirst(room)
    }
    while unsafe !rest.isEmpty {
      let count = unsafe min(rest.count, capacity - next)
      unsafe ring.replaceSubrange(next..<(next + count), with: rest.prefix(count))
      unsafe rest = rest.dropFirst(count)
      next = next + count == capacity ? 0 : next + count
    }
  }

  /// The last characters; bytes that are no UTF-8 are replaced.
  var text: String {
    var bytes = Array(ring[next...] + ring[..<next])
    if total > Int64(capacity) {
      // The first bytes may be the rest of a character.
      let broken = bytes.prefix(3).prefix { $0 & 0xC0 == 0x80 }.count
      bytes.removeFirst(broken)
    }
    return String(String(decoding: bytes, as: UTF8.self).suffix(characters))
  }
}
