import ReliabilityTestSupport
import Testing

@testable import AtomicStore

@Suite(.offThePool) struct TemporaryNameTests {
  @Test func theNameHasBaseProcessAndSixteenRandomDigits() {
    #expect(
      TemporaryName.make(for: "a.json", process: 4242, random: 0xabc)
        == ".a.json.1092.0000000000000abc.rtmp")
  }

  @Test(arguments: ["x", "é", "猫", "🐈"])
  func aLongBaseIsCutBetweenCharacters(character: String) throws {
    for padding in 0..<8 {
      let base = String(repeating: "p", count: padding) + String(repeating: character, count: 200)
      let name = TemporaryName.make(for: base, process: .max, random: .max)
      #expect(name.utf8.count <= 255)
      #expect(String(validating: Array(name.utf8), as: UTF8.self) == name)
      let kept = name.dropFirst().prefix(while: { $0 != "." })
      #expect(base.hasPrefix(kept) && kept.utf8.count <= 180 && kept.utf8.count > 176)
    }
  }
}
