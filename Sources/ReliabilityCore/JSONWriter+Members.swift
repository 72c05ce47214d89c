extension JSONWriter {
  /// Writes a member with a string; nothing for `nil`.
  package mutating func member(_ name: String, _ value: String?) {
    guard let value else { return }
    key(name)
    string(value)
  }

  /// Writes a member with a whole number; nothing for `nil`.
  package mutating func member(_ name: String, _ value: (some FixedWidthInteger)?) {
    guard let value else { return }
    key(name)
    integer(value)
  }

  /// Writes a member with a number, `null` when it is not finite; nothing for `nil`.
  package mutating func member(_ name: String, _ value: Double?) {
    guard let value else { return }
    key(name)
    number(value)
  }

  /// Writes a member with `true` or `false`; nothing for `nil`.
  package mutating func member(_ name: String, _ value: Bool?) {
    guard let value else { return }
    key(name)
    bool(value)
  }

  /// Writes a member with a duration in seconds; nothing for `nil`.
  package mutating func member(_ name: String, seconds value: Duration?) {
    guard let value else { return }
    key(name)
    number(value.seconds)
  }

  /// Writes a member with an array, one call of `write` for each element.
  package mutating func member<Element>(
    _ name: String, each elements: some Sequence<Element>,
    _ write: (inout JSONWriter, Element) -> Void
  ) {
    key(name)
    beginArray()
    for element in elements {
      if isTruncated { break }
      write(&self, element)
    }
    endArray()
  }

  /// Writes a member with an object whose members `write` writes.
  package mutating func member(_ name: String, object write: (inout JSONWriter) -> Void) {
    key(name)
    object(write)
  }

  /// Writes an object whose members `write` writes.
  package mutating func object(_ write: (inout JSONWriter) -> Void) {
    beginObject()
    write(&self)
    endObject()
  }
}
