import ReliabilityTestSupport
import Testing

@testable import AtomicStore

@Suite(.offThePool) struct FileTransactionTests {
  @Test(arguments: [
    "", "/a", "a/", "a//b", ".", "..", "../a", "a/../b", "./a", "a\0b",
    String(repeating: "x", count: 256), String(repeating: "x/", count: 2100) + "x",
  ])
  func aPathThatLeadsOutsideOrHasTwoSpellingsIsRefused(path: String) {
    var transaction = FileTransaction()
    for change in 0..<4 {
      let error = #expect(throws: StoreError.self) {
        switch change {
        case 0: try transaction.append(path, "x")
        case 1: try transaction.replace(path, with: [])
        case 2: try transaction.remove(path)
        default: try transaction.manifest(path)
        }
      }
      #expect(error?.code == .invalidPath && error?.category == .validation)
    }
    #expect(transaction.isEmpty)
  }

  @Test(arguments: [
    ".transactions.journal", ".transactions.lock", "a/.transactions.x", ".a.1.0.rtmp",
  ])
  func aNameOfTheStoresOwnIsRefused(path: String) {
    var transaction = FileTransaction()
    let error = #expect(throws: StoreError.self) { try transaction.replace(path, with: []) }
    #expect(error?.code == .reservedName)
    #expect(error?.userMessage?.contains(path) == true)
  }

  @Test(arguments: ["a\nb", "\n", "a\0"])
  func aLineWithALineBreakOrANulIsRefused(line: String) {
    var transaction = FileTransaction()
    let error = #expect(throws: StoreError.self) { try transaction.append("a", line) }
    #expect(error?.code == .invalidLine)
    #expect(transaction.isEmpty)
  }

  @Test func aFileIsChangedInOneWayOnly() throws {
    var transaction = FileTransaction()
    try transaction.append("a", "1")
    try transaction.append("a", "2")
    try transaction.replace("b", with: [])
    #expect(throws: StoreError.self) { try transaction.replace("a", with: []) }
    #expect(throws: StoreError.self) { try transaction.append("b", "1") }
    #expect(throws: StoreError.self) { try transaction.remove("b") }
    #expect(throws: StoreError.self) { try transaction.manifest("b") }
    #expect(transaction.paths == ["a", "b"])
    #expect(transaction.changes["a"] == .append(bytes("1\n2\n")))
    #expect(transaction.changes["b"] == .replace([], nil))
  }

  @Test func aManifestComesBackWithTheCallersContentUntouched() throws {
    var text = ManifestText()
    text.transaction = .max
    text.files = ["b/\"ä\n": 7, "a": .max]
    text.content = bytes(#"{"n": 1.000, "big": 123456789012345678901234567890, "s": "\u00e4"}"#)
    let encoded = text.encoded
    #expect(ManifestText(encoded) == text)
    #expect(
      String(decoding: encoded, as: UTF8.self).hasPrefix(
        #"{"txn":18446744073709551615,"files":{"a":9223372036854775807,"b/\"ä\n":7},"content":{"n": 1.000"#
      ))
    for count in 0..<(encoded.count - 1) {
      #expect(ManifestText(Array(encoded[..<count])) == nil, "\(count) bytes")
    }
  }

  @Test(arguments: [
    "[]", "{}", #"{"txn":1}"#, #"{"txn":-1,"files":{}}"#, #"{"txn":1,"files":{"a":-1}}"#,
    #"{"txn":1,"files":{"a":1.5}}"#, #"{"txn":1,"files":[]}"#, #"{"txn":1,"files":{}} x"#,
    #"{"txn":01,"files":{}}"#,
  ])
  func whatIsNoManifestIsNotTakenForOne(text: String) {
    #expect(ManifestText(bytes(text)) == nil)
  }

  @Test func membersOfLaterVersionsArePassedOver() {
    let text = ManifestText(
      bytes(#" { "new" : [1, {"a": null}], "txn" : 3 , "files" : { "a" : 2 } } "#))
    #expect(text?.transaction == 3 && text?.files == ["a": 2] && text?.content == nil)
  }

  @Test(arguments: [
    ("null", true), ("  [1, -0.5e+3, \"\\ud83d\\ude00\", true, false, {}]\n", true), ("\"\"", true),
    ("", false), ("{", false), ("[1,]", false), ("{\"a\":}", false), ("01", false), ("+1", false),
    ("1.", false), ("\"\\x\"", false), ("\"\\ud83d\"", false), ("\"\n\"", false), ("nul", false),
    ("1 2", false), ("{a:1}", false), ("'a'", false), ("\"\\u+123\"", false),
  ])
  func contentMustBeJSON(text: String, isJSON: Bool) {
    #expect(ManifestParser.isJSON(bytes(text)) == isJSON)
    var transaction = FileTransaction()
    if isJSON {
      #expect(throws: Never.self) { try transaction.manifest("m", content: bytes(text)) }
    } else {
      #expect(throws: StoreError.self) { try transaction.manifest("m", content: bytes(text)) }
    }
  }

  @Test func jsonNestedWithoutEndIsRefusedInsteadOfTrapping() {
    #expect(!ManifestParser.isJSON([UInt8](repeating: UInt8(ascii: "["), count: 1_000_000)))
  }
}
