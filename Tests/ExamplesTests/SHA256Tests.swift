import ReliabilityExampleSupport
import Testing

@Suite struct SHA256Tests {
  /// FIPS 180-4 examples (NIST, "SHA256.pdf") and the long message of RFC 6234.
  @Test(arguments: [
    ("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
    ("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
    (
      "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
      "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"
    ),
    (
      "abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmnoijklmnopjklmnopqklmnopqrlmnopqrs"
        + "mnopqrstnopqrstu",
      "cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1"
    ),
  ])
  func publishedVectors(message: String, digest: String) {
    var sha = SHA256()
    sha.update(Array(message.utf8))
    #expect(sha.hexadecimal == digest)
  }

  @Test func aMillionTimesTheLetterA() {
    var sha = SHA256()
    for _ in 0..<1000 { sha.update([UInt8](repeating: UInt8(ascii: "a"), count: 1000)) }
    #expect(
      sha.hexadecimal == "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0")
    #expect(sha.byteCount == 1_000_000)
  }

  @Test func piecesOfAnySizeGiveTheDigestOfTheWhole() {
    let message = (0..<200).map { UInt8(truncatingIfNeeded: $0 &* 31) }
    for length in [0, 1, 55, 56, 57, 63, 64, 65, 119, 120, 127, 128, 129, 200] {
      let part = Array(message[..<length])
      var whole = SHA256()
      whole.update(part)
      for split in 0...length {
        var pieces = SHA256()
        pieces.update(Array(part[..<split]))
        _ = pieces.hexadecimal
        pieces.update(Array(part[split...]))
        #expect(pieces.hexadecimal == whole.hexadecimal, "\(length) bytes split at \(split)")
      }
    }
  }

  @Test func aCopyGoesOnByItself() {
    var first = SHA256()
    first.update(Array("ab".utf8))
    var second = first
    first.update(Array("c".utf8))
    second.update(Array("d".utf8))
    #expect(first.hexadecimal.hasPrefix("ba7816bf"))
    #expect(second.hexadecimal != first.hexadecimal)
  }

  @Test(arguments: [
    (String(repeating: "0", count: 64), true), (String(repeating: "aF", count: 32), true),
    (String(repeating: "0", count: 63), false), (String(repeating: "0", count: 65), false),
    (String(repeating: "g", count: 64), false), (String(repeating: "@", count: 64), false),
    ("", false), (String(repeating: "é", count: 32), false),
  ])
  func onlySixtyFourHexadecimalDigitsAreADigest(text: String, isDigest: Bool) {
    #expect(SHA256.isHexadecimal(text) == isDigest)
  }
}
