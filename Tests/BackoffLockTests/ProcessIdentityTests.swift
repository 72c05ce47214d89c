import ReliabilityCore
import ReliabilityTestSupport
import Testing

@testable import BackoffLock

@Suite(.offThePool) struct ProcessIdentityTests {
  private let holder = KnownProcesses.on("alpha", pid: 9)
  private let here = KnownProcesses.on("alpha", pid: 11)

  private func isDead(_ holder: ProcessIdentity, knowing others: [Int32: UInt64] = [:]) -> Bool {
    holder.isDead(according: KnownProcesses(current: here, others: others))
  }

  @Test func aProcessThatNobodyHasIsDead() { #expect(isDead(holder)) }

  @Test func aProcessThatRunsIsAlive() { #expect(!isDead(holder, knowing: [9: 1009])) }

  @Test func aNumberThatIsUsedAgainIsDead() { #expect(isDead(holder, knowing: [9: 5000])) }

  @Test func aProcessOfWhichNothingMayBeKnownIsAlive() {
    #expect(!isDead(holder, knowing: [9: 0]))
    var unknown = holder
    unknown.startTime = 0
    #expect(!isDead(unknown, knowing: [9: 5000]))
  }

  @Test func inAnotherNamespaceNumbersProveNothing() {
    #expect(!isDead(KnownProcesses.on("alpha", pid: 9, namespace: 2)))
  }

  @Test func onAnotherMachineNothingIsProven() {
    #expect(!isDead(KnownProcesses.on("beta", pid: 9)))
    var clone = KnownProcesses.on("beta", pid: 9)
    clone.machineIdentifier = here.machineIdentifier
    clone.bootTime -= 100_000
    #expect(!isDead(clone), "cloned machines share the identifier but not the name")
  }

  @Test func anEarlierBootOfThisMachineIsDeadWhateverItsNamespace() {
    var before = KnownProcesses.on("alpha", pid: 9, namespace: 2)
    before.bootIdentifier = "an earlier one"
    before.bootTime -= 60_000
    #expect(isDead(before, knowing: [9: 1009]))
    before.bootTime = here.bootTime - 500
    #expect(!isDead(before), "not certainly earlier")
    before.bootTime = here.bootTime + 60_000
    #expect(!isDead(before))
    before.bootTime = 0
    #expect(!isDead(before))
  }

  @Test func withoutABootIdentifierNothingIsProven() {
    var unknown = holder
    unknown.bootIdentifier = ""
    #expect(!isDead(unknown))
  }

  @Test func thisProcessIsAliveAndAnImpossibleOneIsNot() {
    let current = ProcessIdentity.current
    #expect(current.pid > 0 && !current.bootIdentifier.isEmpty)
    #expect(!current.isDead)
    var other = current
    other.startTime += 1
    #expect(other.isDead)
    var gone = current
    gone.pid = .max
    #expect(gone.isDead)
    #if os(Linux)
      #expect(current.startTime > 0 && current.namespace > 0 && !current.host.isEmpty)
    #endif
  }

  @Test func whatIsWrittenIsRead() throws {
    var json = JSONWriter()
    json.object(holder.write)
    let line = try #require(JSONLine(json.finish()))
    #expect(ProcessIdentity(line) == holder)
  }
}

@Suite(.offThePool) struct JSONLineTests {
  @Test func membersAreReadWithEveryEscape() throws {
    let text =
      #" { "a" : "x\n\t\r\b\f\"\\\/é\uD83D\uDE00" , "b":-5,"c":true,"d":18446744073709551615 } "#
    let line = try #require(JSONLine(Array(text.utf8)))
    #expect(line.string("a") == "x\n\t\r\u{8}\u{c}\"\\/é😀")
    #expect(line.integer("b") == -5)
    #expect(line.unsigned("d") == .max)
    #expect(line.integer("d") == nil && line.integer("c") == nil && line.string("b") == nil)
  }

  @Test func theEmptyObjectIsOne() { #expect(JSONLine(Array("{}".utf8)) != nil) }

  @Test(arguments: [
    "", "{", "}", "[]", "{\"a\"}", "{\"a\":}", "{\"a\":1,}", "{\"a\":\"x}", "{\"a\":{}}",
    #"{"a":"\q"}"#, #"{"a":"\u12"}"#, #"{"a":"\uD83D"}"#, #"{"a":"\uDE00"}"#, "{a:1}",
  ])
  func whatIsNoFlatObjectIsRefused(text: String) { #expect(JSONLine(Array(text.utf8)) == nil) }

  @Test func bytesThatAreNotTextAreRefused() {
    #expect(JSONLine([UInt8(ascii: "{"), 0xFF, UInt8(ascii: "}")]) == nil)
  }
}
