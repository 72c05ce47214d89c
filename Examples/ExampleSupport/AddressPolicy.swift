#if canImport(Glibc)
  internal import Glibc
#elseif canImport(Musl)
  internal import Musl
#elseif canImport(Darwin)
  internal import Darwin
#endif

/// To which addresses a client may connect.
///
///     AddressPolicy.publicOnly.allows(version4: [127, 0, 0, 1])  // false
///
/// A service that fetches addresses which strangers give it must not become their way into its own network. What decides is
/// the address that is connected to, not the text of the URL: `http://2130706433/`, `http://0x7f.1/` and a name that
/// somebody's server resolves to 127.0.0.1 are all the same place.
public enum AddressPolicy: Hashable, Sendable {
  /// To any address.
  case any
  /// Only to addresses that are globally reachable (IANA's special-purpose registries, RFC 6890).
  case publicOnly

  /// Whether an address of four bytes may be connected to.
  public func allows(version4 bytes: [UInt8]) -> Bool {
    self == .any || (bytes.count == 4 && !Self.reserved4.contains { $0.contains(bytes) })
  }

  /// Whether an address of sixteen bytes may be connected to.
  ///
  /// One that stands for an address of version 4 (mapped, compatible, translated, 6to4) is judged as that one.
  public func allows(version6 bytes: [UInt8]) -> Bool {
    if self == .any { return true }
    guard bytes.count == 16 else { return false }
    if Self.mapped.contains(where: { $0.contains(bytes) }) {
      return allows(version4: Array(bytes[12...]))
    }
    if Block([0x20, 0x02], 16).contains(bytes) { return allows(version4: Array(bytes[2..<6])) }
    // All that is given out so far is in 2000::/3.
    return Block([0x20], 3).contains(bytes) && !Self.reserved6.contains { $0.contains(bytes) }
  }

  func allows(_ address: SocketAddress) -> Bool {
    switch address.family {
    case AF_INET: allows(version4: Array(address.bytes.dropFirst(4).prefix(4)))
    case AF_INET6: allows(version6: Array(address.bytes.dropFirst(8).prefix(16)))
    default: self == .any
    }
  }

  /// The addresses that begin with the same bits.
  private struct Block {
    let prefix: [UInt8]
    let bits: Int

    init(_ prefix: [UInt8], _ bits: Int) {
      self.prefix = prefix
      self.bits = bits
    }

    func contains(_ bytes: [UInt8]) -> Bool {
      for index in 0..<(bits + 7) / 8 {
        let mask = UInt8(truncatingIfNeeded: 0xff00 >> min(8, bits - index * 8))
        let expected = index < prefix.count ? prefix[index] : 0
        if (bytes[index] ^ expected) & mask != 0 { return false }
      }
      return true
    }
  }

  private static let reserved4 = [
    Block([0], 8), Block([10], 8), Block([100, 64], 10), Block([127], 8), Block([169, 254], 16),
    Block([172, 16], 12), Block([192, 0, 0], 24), Block([192, 0, 2], 24), Block([192, 88, 99], 24),
    Block([192, 168], 16), Block([198, 18], 15), Block([198, 51, 100], 24),
    Block([203, 0, 113], 24), Block([224], 4), Block([240], 4),
  ]

  /// Forms of version 6 for an address of version 4: compatible, mapped, and translated (RFC 6052).
  private static let mapped = [
    Block([], 96), Block([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff], 96),
    Block([0, 0x64, 0xff, 0x9b], 96),
  ]

  private static let reserved6 = [
    Block([0x20, 0x01, 0x00], 23), Block([0x20, 0x01, 0x0d, 0xb8], 32), Block([0x3f, 0xff], 20),
  ]
}
