/// Writes one JSON document (RFC 8259) into bytes, never longer than a limit, and never fails.
///
/// Error reports and file envelopes are written exactly when something is already wrong, so no input may make the writer
/// throw, trap or produce what a parser refuses:
///
/// - Numbers that JSON lacks (NaN, infinities) become `null`.
/// - Control characters are escaped; everything else, non-ASCII included, stays as it is.
/// - The first thing that doesn't fit ends the document. If it is a string of which some fits, the string is cut at a
///   whole scalar and ends in `…`; anything else is left out together with its key. All that follows is left out, open
///   containers are closed, and the outermost object gets the truncation member as its last one.
/// - A container nested deeper than 64 levels doesn't fit.
/// - Calls out of order do nothing: a value without a key in an object, a key in an array, a second document.
///   ``finish()`` closes what is still open; an empty document is `null`. Keys are not checked for repetition.
package struct JSONWriter: Sendable {
  /// How the document is laid out.
  package enum Style: Sendable {
    /// On one line, without spaces.
    case compact
    /// One member or element a line, indented by two spaces for each level.
    case pretty
  }

  /// The smallest limit; a smaller one counts as this.
  package static let minimumLimit = 64
  package static let maximumDepth = 64

  private var bytes: [UInt8] = []
  private let limit: Int
  private let isPretty: Bool
  private let truncationMember: String?

  private var depth = 0
  // One bit for each open container: whether it is an object, and whether it has an element yet.
  private var objects: UInt64 = 0
  private var filled: UInt64 = 0
  // What closing all open containers may take at most.
  private var reserved = 0
  // Where to go back to when the value doesn't fit: before the separator and the key.
  private var mark = 0
  private var hasKey = false
  private var isComplete = false
  private var skippedDepth = 0

  /// Whether something was left out or cut because it did not fit.
  package private(set) var isTruncated = false

  /// Makes a writer of an empty document.
  ///
  /// - Parameters:
  ///   - limit: The most bytes the document may have, at least ``minimumLimit``.
  ///   - style: How it is laid out.
  ///   - truncationMember: The key of a member with the value `true` that the outermost object gets when it was
  ///     truncated. Plain ASCII, 32 bytes at most; `nil` for none.
  ///   - expected: For how many bytes there is to be room from the start.
  package init(
    limit: Int = .max, style: Style = .compact, truncationMember: String? = nil, expected: Int = 0
  ) {
    self.limit = max(limit, Self.minimumLimit)
    self.isPretty = style == .pretty
    self.truncationMember = truncationMember
    if expected > 0 { bytes.reserveCapacity(min(expected, self.limit)) }
  }

  /// The document.
  ///
  /// Closes whatever is still open.
  package consuming func finish() -> [UInt8] {
    skippedDepth = 0
    while depth > 0 { close() }
    return bytes.isEmpty ? Array("null".utf8) : bytes
  }

  /// Opens an object.
  package mutating func beginObject() { open(object: true) }

  /// Closes the innermost container, which should be an object.
  package mutating func endObject() { end() }

  /// Opens an array.
  package mutating func beginArray() { open(object: false) }

  /// Closes the innermost container, which should be an array.
  package mutating func endArray() { end() }

  private var topBit: UInt64 { 1 << UInt64(depth - 1) }
  private var isInObject: Bool { depth > 0 && objects & topBit != 0 }

  private mutating func open(object: Bool) {
    guard beginValue() else {
      skippedDepth += 1
      return
    }
    var closing = 1 + (isPretty ? 1 + 2 * depth : 0)
    if depth == 0, object, let truncationMember { closing += truncationMember.utf8.count + 12 }
    guard depth < Self.maximumDepth, bytes.count + 1 + closing + reserved <= limit else {
      dropValue()
      skippedDepth = 1
      return
    }
    bytes.append(object ? UInt8(ascii: "{") : UInt8(ascii: "["))
    reserved += closing
    depth += 1
    objects = object ? objects | topBit : objects & ~topBit
    filled &= ~topBit
    hasKey = false
  }

  private mutating func end() {
    if skippedDepth > 0 {
      skippedDepth -= 1
    } else if depth > 0 {
      close()
    }
  }

  private mutating func close() {
    if hasKey { removeKey() }
    let isObject = isInObject
    if depth == 1, isObject, isTruncated, let truncationMember {
      separate()
      bytes += "\"\(truncationMember)\":\(isPretty ? " " : "")true".utf8
    }
    let hasElements = filled & topBit != 0
    depth -= 1
    if hasElements { breakLine() }
    bytes.append(isObject ? UInt8(ascii: "}") : UInt8(ascii: "]"))
    reserved -= 1 + (isPretty ? 1 + 2 * depth : 0)
    if depth == 0 {
      reserved = 0
      isComplete = true
    }
  }

  /// Writes the key of the next value.
  package mutating func key(_ name: String) {
    guard !isTruncated, skippedDepth == 0, isInObject else { return }
    if hasKey { removeKey() }
    mark = bytes.count
    let wasFilled = filled
    separate()
    guard writeString(name, mayCut: false) else {
      bytes.removeSubrange(mark...)
      filled = wasFilled
      isTruncated = true
      return
    }
    bytes.append(UInt8(ascii: ":"))
    if isPretty { bytes.append(UInt8(ascii: " ")) }
    hasKey = true
  }

  /// Writes a string.
  package mutating func string(_ value: String) {
    guard beginValue() else { return }
    if writeString(value, mayCut: true) { endValue() } else { dropValue() }
  }

  /// Writes a whole number.
  package mutating func integer(_ value: some FixedWidthInteger) { atom(String(value)) }

  /// Writes a number, a whole one without a fraction; `null` when it is not finite.
  package mutating func number(_ value: Double) {
    if !value.isFinite {
      null()
    } else if value.magnitude < 9_007_199_254_740_992, value == value.rounded() {
      integer(Int64(value))
    } else {
      atom(value.description)
    }
  }

  /// Writes `true` or `false`.
  package mutating func bool(_ value: Bool) { atom(value ? "true" : "false") }

  /// Writes `null`.
  package mutating func null() { atom("null") }

  private mutating func atom(_ text: String) {
    guard beginValue() else { return }
    if bytes.count + text.utf8.count + reserved <= limit {
      bytes += text.utf8
      endValue()
    } else {
      dropValue()
    }
  }

  /// Writes the separator in front of a value.
  ///
  /// - Returns: `false` when there is no place for a value here.
  private mutating func beginValue() -> Bool {
    guard !isTruncated, !isComplete, skippedDepth == 0 else { return false }
    if isInObject { return hasKey }
    mark = bytes.count
    if depth > 0 { separate() }
    return true
  }

  private mutating func endValue() {
    hasKey = false
    if depth == 0 { isComplete = true }
  }

  private mutating func dropValue() {
    removeKey()
    isTruncated = true
  }

  /// Goes back to before the separator and the key.
  private mutating func removeKey() {
    bytes.removeSubrange(mark...)
    hasKey = false
    guard depth > 0 else { return }
    let opening = isInObject ? UInt8(ascii: "{") : UInt8(ascii: "[")
    // A container whose opening bracket is the last byte is empty again. A string value can't end in a bracket.
    if bytes.last == opening { filled &= ~topBit }
  }

  private mutating func separate() {
    if filled & topBit != 0 { bytes.append(UInt8(ascii: ",")) }
    filled |= topBit
    breakLine()
  }

  private mutating func breakLine() {
    guard isPretty else { return }
    bytes.append(UInt8(ascii: "\n"))
    for _ in 0..<depth {
      bytes.append(UInt8(ascii: " "))
      bytes.append(UInt8(ascii: " "))
    }
  }
}

extension JSONWriter {
  /// Writes a quoted string if it fits, or as much of it as fits.
  ///
  /// - Returns: `false` when nothing was kept. The caller then goes back to the mark.
  private mutating func writeString(_ text: String, mayCut: Bool) -> Bool {
    // Two quotes, and after a key a colon, a space and at least a digit.
    let room = limit - reserved - bytes.count - (mayCut ? 2 : 5)
    guard room >= 0 else { return false }
    let count = text.utf8.count
    if count <= room / 6 || count <= room && Self.escapedCount(text, stopAbove: room) <= room {
      bytes.append(UInt8(ascii: "\""))
      appendEscaped(text.utf8)
      bytes.append(UInt8(ascii: "\""))
      return true
    }
    guard mayCut else { return false }
    isTruncated = true
    return cutString(text, room: room)
  }

  private mutating func cutString(_ text: String, room: Int) -> Bool {
    let ellipsis = "…".utf8
    var left = room - ellipsis.count
    var end = text.startIndex
    for index in text.unicodeScalars.indices {
      let scalar = text.unicodeScalars[index]
      left -= Self.escapedCount(String(scalar), stopAbove: .max)
      if left < 0 { break }
      end = text.unicodeScalars.index(after: index)
    }
    guard end > text.startIndex else { return false }
    bytes.append(UInt8(ascii: "\""))
    appendEscaped(text[..<end].utf8)
    bytes += ellipsis
    bytes.append(UInt8(ascii: "\""))
    return true
  }

  private static func escapedCount(_ text: String, stopAbove limit: Int) -> Int {
    var count = 0
    for byte in text.utf8 {
      switch byte {
      case 0x22, 0x5C, 0x08, 0x09, 0x0A, 0x0C, 0x0D: count += 2
      case 0..<0x20: count += 6
      default: count += 1
      }
      if count > limit { break }
    }
    return count
  }

  private mutating func appendEscaped(_ utf8: some Collection<UInt8>) {
    let isDone: Void? = utf8.withContiguousStorageIfAvailable { unsafe appendRuns($0) }
    guard isDone == nil else { return }
    unsafe ContiguousArray(utf8).withUnsafeBufferPointer { unsafe appendRuns($0) }
  }

  /// Appends what needs no escape piece by piece, not byte by byte: most strings are one piece.
  private mutating func appendRuns(_ utf8: UnsafeBufferPointer<UInt8>) {
    var start = 0
    for index in 0..<utf8.count {
      let byte = unsafe utf8[index]
      if byte >= 0x20, byte != 0x22, byte != 0x5C { continue }
      unsafe bytes.append(contentsOf: UnsafeBufferPointer(rebasing: utf8[start..<index]))
      start = index + 1
      escape(byte)
    }
    unsafe bytes.append(contentsOf: UnsafeBufferPointer(rebasing: utf8[start...]))
  }

  private mutating func escape(_ byte: UInt8) {
    switch byte {
    case 0x22, 0x5C: appendEscape(byte)
    case 0x08: appendEscape(UInt8(ascii: "b"))
    case 0x09: appendEscape(UInt8(ascii: "t"))
    case 0x0A: appendEscape(UInt8(ascii: "n"))
    case 0x0C: appendEscape(UInt8(ascii: "f"))
    case 0x0D: appendEscape(UInt8(ascii: "r"))
    default:
      bytes += "\\u00".utf8
      bytes.append(UInt8(ascii: "0") + byte / 16)
      bytes.append(byte % 16 < 10 ? 0x30 + byte % 16 : 0x57 + byte % 16)
    }
  }

  private mutating func appendEscape(_ letter: UInt8) {
    bytes.append(UInt8(ascii: "\\"))
    bytes.append(letter)
  }
}
