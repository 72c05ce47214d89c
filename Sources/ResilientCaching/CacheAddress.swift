/// Which entry is meant: a key in a namespace, and the hash of both.
///
/// Made outside the lock, so that the hashing, which is code of the key's author, does not run under it.
@usableFromInline struct CacheAddress<Key: Hashable> {
  @usableFromInline var key: Key
  @usableFromInline var space: CacheSpace
  @usableFromInline var hash: UInt32

  @inlinable init(_ key: Key, in space: CacheSpace) {
    self.key = key
    self.space = space
    // Some types' hash values are poorly spread; a multiplication by 2^64 / phi spreads them over the upper half.
    let mixed = UInt64(bitPattern: Int64(key.hashValue ^ space.hash)) &* 0x9E37_79B9_7F4A_7C15
    hash = UInt32(truncatingIfNeeded: mixed >> 32)
  }
}

extension CacheAddress: Sendable where Key: Sendable {}

/// The name of a namespace with its hash; the empty one, whose hash alone is zero, is that of the cache itself.
@usableFromInline struct CacheSpace: Sendable {
  @usableFromInline var name: String
  @usableFromInline var hash: Int

  @inlinable init() {
    name = ""
    hash = 0
  }

  init(_ name: String) {
    self.name = name
    hash = name.hashValue | 1
  }

  /// Whether it is the same namespace; without one no text is looked at.
  @inlinable @inline(__always)
  func isSame(as other: CacheSpace) -> Bool {
    hash == other.hash && (hash == 0 || name == other.name)
  }

  var orNil: String? { name.isEmpty ? nil : name }
}

/// When something is asked, by the clock and by the breaker.
@usableFromInline struct CacheMoment: Sendable {
  /// Nanoseconds.
  @usableFromInline var now: Int64
  @usableFromInline var era: UInt64

  @inlinable init(now: Int64, era: UInt64) {
    self.now = now
    self.era = era
  }
}
