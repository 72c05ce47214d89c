import ReliabilityCore
import ReliabilityTestSupport
import Testing

@testable import BackoffLock

@Suite(.offThePool) struct LeaseTermTests {
  private func term() -> LeaseTerm { LeaseTerm(sent: .seconds(100), duration: .seconds(30)) }

  @Test func aLeaseIsHeldUntilItsEndAndNotAtIt() {
    let term = term()
    #expect(term.isHeld(at: .seconds(129)))
    #expect(!term.isHeld(at: .seconds(130)))
    #expect(term.nextRenewal == .seconds(110))
  }

  @Test func aRenewalCountsFromWhenItWasSent() {
    var term = term()
    let result1 = term.renewed(sent: .seconds(110), at: .seconds(115))
    #expect(!result1)
    #expect(term.end == .seconds(140))
    #expect(term.nextRenewal == .seconds(120))
  }

  @Test func aRenewalThatIsConfirmedTooLateDoesNotCount() {
    var term = term()
    let result2 = term.renewed(sent: .seconds(110), at: .seconds(130))
    #expect(result2)
    #expect(term.state == .lost(.expired))
    #expect(!term.isHeld(at: .seconds(120)))
  }

  @Test func aFailedRenewalIsTriedAgainSoonerWhileThereIsTime() {
    var term = term()
    let result3 = term.renewalFailed(at: .seconds(112))
    #expect(!result3)
    #expect(term.nextRenewal == .seconds(112) + .seconds(30) / 12)
    #expect(term.isHeld(at: .seconds(112)))
    let result4 = term.renewalFailed(at: .seconds(131))
    #expect(result4)
  }

  @Test func aLeaseIsLostOnceAndStaysLost() {
    var term = term()
    let result5 = term.takenOver()
    #expect(result5)
    let result6 = term.takenOver()
    #expect(!result6)
    let result7 = term.expire(at: .seconds(200))
    #expect(!result7)
    let result8 = term.renewed(sent: .seconds(101), at: .seconds(102))
    #expect(!result8)
    let result9 = term.finish(at: .seconds(102))
    #expect(result9 == .takenOver)
  }

  @Test func aBodyThatEndsAtTheEndHasLost() {
    var late = term()
    let result10 = late.finish(at: .seconds(130))
    #expect(result10 == .expired)
    var inTime = term()
    let result11 = inTime.finish(at: .seconds(129))
    #expect(result11 == nil)
    let result12 = inTime.expire(at: .seconds(200))
    #expect(!result12)
  }
}

@Suite(.offThePool) struct ClaimVerdictTests {
  private func verdict(
    age: Duration, of theirs: Duration = .seconds(30), dead: Bool = false, modified: Int64 = 1
  ) -> ClaimVerdict {
    let record = LeaseRecord(
      owner: KnownProcesses.on("alpha", pid: 1), nonce: 1, duration: theirs,
      since: WallTime(secondsSince1970: 0))
    return ClaimVerdict(
      record, modified: modified, now: modified + age.nanoseconds, duration: .seconds(30),
      isDead: dead)
  }

  @Test func aClaimIsStaleATenthAfterItsDuration() {
    #expect(verdict(age: .zero) == .live)
    #expect(verdict(age: .milliseconds(32_999)) == .live)
    #expect(verdict(age: .seconds(33)) == .stale)
  }

  @Test func timesInWholeSecondsGetTwoSecondsMore() {
    #expect(verdict(age: .seconds(34), modified: 0) == .live)
    #expect(verdict(age: .seconds(35), modified: 0) == .stale)
  }

  @Test func aClaimFromTheFutureIsLive() {
    #expect(verdict(age: .seconds(-100)) == .live)
  }

  @Test func anotherDurationIsRefusedUntilTheLongerOneIsOver() {
    #expect(verdict(age: .zero, of: .seconds(60)) == .otherDuration)
    #expect(verdict(age: .seconds(40), of: .seconds(60)) == .otherDuration)
    #expect(verdict(age: .seconds(66), of: .seconds(60)) == .stale)
    #expect(verdict(age: .seconds(20), of: .seconds(10)) == .otherDuration)
    #expect(verdict(age: .seconds(33), of: .seconds(10)) == .stale)
    #expect(verdict(age: .zero, of: .seconds(60), dead: true) == .dead)
  }
}

@Suite(.offThePool) struct LeaseRecordTests {
  private let fixture =
    #"{"format":"reliability-lease","version":1,"lease_ms":30000,"nonce":"2a","pid":4242,"#
    + #""start":77,"boot":"b-1","boot_ms":1700000000000,"pidns":4026531836,"machine":"m-1","#
    + #""host":"alpha","since_ms":1736951422000,"label":"nightly \"build\"","token":"#
    + "                  17}\n"

  private var record: LeaseRecord {
    LeaseRecord(
      owner: ProcessIdentity(
        pid: 4242, startTime: 77, bootIdentifier: "b-1", bootTime: 1_700_000_000_000,
        namespace: 4_026_531_836, machineIdentifier: "m-1", host: "alpha"),
      nonce: 42, duration: .seconds(30), since: WallTime(secondsSince1970: 1_736_951_422),
      label: #"nightly "build""#, token: 17)
  }

  @Test func versionOneIsWrittenAndReadLetterByLetter() {
    #expect(String(decoding: record.bytes, as: UTF8.self) == fixture)
    #expect(LeaseRecord.read(Array(fixture.utf8)) == .record(record))
  }

  @Test func theTokenIsWrittenInPlace() {
    var first = record
    first.token = 0
    var bytes = first.bytes
    first.token = .max
    let offset = Int(first.tokenOffset)
    bytes.replaceSubrange(offset..<(offset + 20), with: first.tokenField)
    #expect(LeaseRecord.read(bytes) == .record(first))
  }

  @Test func unknownMembersAreAllowedAndLaterVersionsAreNot() {
    let more = fixture.replacing("\"pid\"", with: "\"zone\":\"x\",\"pid\"")
    #expect(LeaseRecord.read(Array(more.utf8)) == .record(record))
    let later = fixture.replacing("\"version\":1", with: "\"version\":9")
    #expect(LeaseRecord.read(Array(later.utf8)) == .newerVersion(9))
  }

  @Test func noPrefixOfARecordIsOne() {
    let bytes = Array(fixture.utf8)
    for length in 0..<(bytes.count - 1) {
      #expect(LeaseRecord.read(Array(bytes.prefix(length))) == .unreadable, "\(length) bytes")
    }
  }
}
