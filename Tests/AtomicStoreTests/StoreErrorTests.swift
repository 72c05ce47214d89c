import AtomicStore
import ReliabilityTestSupport
import Testing

@Suite(.offThePool) struct StoreErrorTests {
  static let codes: [StoreError.Code] = [
    .invalidPath, .targetExists, .targetIsSymbolicLink, .tooManySymbolicLinks,
    .targetIsNotRegularFile, .targetHasHardLinks, .targetIsMountPoint, .directoryMissing,
    .directoryNotWritable, .notPermitted, .outOfSpace, .fileTooLarge, .syncFailed, .callFailed,
    .closed, .targetChanged, .targetIsLeased, .notReadable, .backupFailed, .writtenInPart,
  ]
  static let causes: [SystemCallError?] = [
    nil, SystemCallError(.noSpace, call: "write", path: "/d/.a.rtmp"),
    SystemCallError(.readOnlyFileSystem, call: "open", path: "/d/.a.rtmp"),
    SystemCallError(ErrorNumber(rawValue: 4095), call: "open", path: "/d/.a.rtmp"),
  ]

  @Test(arguments: codes, causes)
  func everyErrorHasAMessageWithThePathAndACategory(code: StoreError.Code, cause: SystemCallError?)
  {
    let error = StoreError(code, path: "/d/a", cause: cause, leftover: "/d/.a.rtmp")
    #expect(error.userMessage?.isEmpty == false)
    #expect(!error.category.rawValue.isEmpty && error.category != .unknown)
    #expect(error.suggestedActions.allSatisfy { !$0.isEmpty })
    #expect(error.suggestedActions.last?.contains("/d/.a.rtmp") == true)
    #expect("\(error)".contains("/d/a") && "\(error)".contains(code.rawValue))
  }

  @Test func aFullDiskIsNotRetriedAndAFailedDeviceIs() {
    let full = StoreError(
      .outOfSpace, path: "a", cause: SystemCallError(.noSpace, call: "write", path: "b"))
    #expect(full.retryability == .notRetryable)
    #expect(full.suggestedActions.first?.contains("space") == true)
    let device = StoreError(
      .syncFailed, path: "a", cause: SystemCallError(.inputOutput, call: "fsync", path: "b"))
    #expect(device.retryability == .retryable())
    #expect(device.category == .fileSystem)
    #expect("\(device)".contains("fsync b: ") && "\(device)".contains("(EIO)"))
  }

  @Test func theQuotaAndTheReadOnlyDiskHaveTheirOwnWords() {
    let quota = StoreError(
      .outOfSpace, path: "a", cause: SystemCallError(.quotaExceeded, call: "write", path: "b"))
    #expect(quota.userMessage?.contains("quota") == true)
    let readOnly = StoreError(
      .directoryNotWritable, path: "a",
      cause: SystemCallError(.readOnlyFileSystem, call: "open", path: "b"))
    #expect(readOnly.userMessage?.contains("read-only") == true)
  }
}
