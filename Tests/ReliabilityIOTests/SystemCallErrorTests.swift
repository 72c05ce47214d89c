import ReliabilityIO
import Testing

@Suite struct SystemCallErrorTests {
  @Test func everyNumberHasAMessageACategoryAndAName() {
    for raw in 1...140 {
      let error = SystemCallError(ErrorNumber(rawValue: Int32(raw)), call: "write", path: "/a")
      #expect(error.userMessage?.isEmpty == false)
      #expect(!error.number.message.isEmpty)
      #expect("\(error)".hasPrefix("write /a: "))
      #expect(error.category != .unknown)
    }
  }

  @Test func whatNeedsAPersonIsNotRetried() {
    for number in [
      ErrorNumber.noSpace, .quotaExceeded, .readOnlyFileSystem, .permissionDenied, .notFound,
      .fileTooLarge, .nameTooLong,
    ] {
      let error = SystemCallError(number, call: "write", path: "/a")
      #expect(error.retryability == .notRetryable)
      #expect(!error.suggestedActions.isEmpty, "\(number)")
      #expect(error.category == .fileSystem)
    }
  }

  @Test func whatMayPassByItselfIsRetried() {
    #expect(SystemCallError(.inputOutput, call: "read", path: "").retryability == .retryable())
    #expect(SystemCallError(.tooManyOpenFiles, call: "open", path: "").category == .overload)
    #expect(SystemCallError(.noMemory, call: "open", path: "").category == .memoryExhaustion)
    #expect(SystemCallError(.timedOut, call: "open", path: "").category == .timeout)
  }

  @Test func anUnknownNumberIsShownAsANumber() {
    #expect("\(ErrorNumber(rawValue: 4095))".hasSuffix("(errno 4095)"))
    #expect(ErrorNumber(rawValue: 4095).name == nil)
  }

  @Test func aModeIsTwelveBitsShownInOctal() {
    #expect("\(FileMode(rawValue: 0o100644))" == "0644")
    #expect("\(0o4755 as FileMode)" == "4755")
    #expect("\(0 as FileMode)" == "0000")
  }
}
