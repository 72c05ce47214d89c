internal import CReliability

/// The checksum of records and files: CRC-32C (Castagnoli), by the processor's own instruction where it has one.
///
/// It finds every burst of up to 32 flipped bits and misses others once in four billion. It is no defence against
/// someone who means to deceive. Source: RFC 3720, appendix B.4.
package struct CRC32C: Hashable, Sendable {
  /// The checksum of what was added so far.
  package private(set) var value: UInt32 = 0

  package init() {}

  /// The checksum of bytes in one piece.
  package init(_ bytes: Span<UInt8>) {
    self.init()
    update(bytes)
  }

  package mutating func update(_ bytes: Span<UInt8>) {
    value = unsafe bytes.withUnsafeBytes { bytes in
      unsafe creliability_crc32c(value, bytes.baseAddress, bytes.count)
    }
  }
}
