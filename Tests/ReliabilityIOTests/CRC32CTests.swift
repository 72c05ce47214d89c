import CReliability
import ReliabilityIO
import Testing

/// RFC 3720, appendix B.4, and the two implementations against each other.
@Suite struct CRC32CTests {
  @Test func agreesWithTheExamplesOfTheRFC() {
    #expect(CRC32C([UInt8](repeating: 0, count: 32).span).value == 0x8A91_36AA)
    #expect(CRC32C([UInt8](repeating: 0xFF, count: 32).span).value == 0x62A8_AB43)
    #expect(CRC32C([UInt8](0..<32).span).value == 0x46DD_794E)
    #expect(CRC32C([UInt8]((0..<32).reversed()).span).value == 0x113F_DB5C)
    #expect(CRC32C(Array("123456789".utf8).span).value == 0xE306_9283)
    #expect(CRC32C([UInt8]().span).value == 0)
  }

  @Test func piecesGiveTheSameAsTheWhole() {
    let bytes = (0..<300).map { UInt8(truncatingIfNeeded: $0 &* 31) }
    let whole = CRC32C(bytes.span)
    for cut in 0...bytes.count {
      var pieces = CRC32C()
      pieces.update(bytes.span.extracting(0..<cut))
      pieces.update(bytes.span.extracting(cut..<bytes.count))
      #expect(pieces == whole)
      let table = unsafe bytes.withUnsafeBytes {
        unsafe creliability_crc32c_by_table(0, $0.baseAddress, cut)
      }
      #expect(table == CRC32C(bytes.span.extracting(0..<cut)).value)
    }
  }
}
