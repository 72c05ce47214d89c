import ErrorContext
import Foundation
import ReliabilityFoundation
import Testing

@Suite struct FoundationClassifierTests {
  private let classifier = ErrorClassifier.foundation

  private func url(_ code: Int) -> NSError {
    NSError(domain: "NSURLErrorDomain", code: code)
  }

  @Test(
    "URL loading errors mean what their documentation says",
    arguments: [
      (-1001, ErrorCategory.timeout, true), (-1003, .network, true), (-1004, .network, true),
      (-1005, .network, true), (-1006, .network, true), (-1009, .network, true),
      (-1018, .network, true), (-1020, .network, true), (-1011, .dependency, true),
      (-1008, .dependency, true), (-1016, .dependency, false), (-1000, .validation, false),
      (-1002, .validation, false), (-1007, .validation, false), (-1013, .validation, false),
      (-1022, .network, false), (-1200, .network, false), (-1202, .network, false),
      (-1206, .network, false), (-3000, .fileSystem, false), (-3003, .fileSystem, false),
      (-1100, .fileSystem, false), (-2000, .network, true), (-999, .cancelled, false),
      (-1012, .cancelled, false),
    ])
  func urlErrors(code: Int, category: ErrorCategory, isRetryable: Bool) {
    let answer = classifier.classify(url(code))
    #expect(answer.category == category)
    #expect(answer.retryability.isRetryable == isRetryable)
  }

  @Test("A code nobody has documented is unknown")
  func unknownCode() {
    #expect(classifier.classify(url(-42)) == .unknown)
    #expect(classifier.classify(NSError(domain: "Other", code: -1001)) == .unknown)
    let monster = NSError(domain: NSPOSIXErrorDomain, code: .max)
    #expect(classifier.classify(monster) == .unknown)
    var options = ErrorReport.Options()
    options.classifier = classifier
    #expect(ErrorReport(monster, options: options).detail.contains("NSPOSIXErrorDomain"))
  }

  @Test("Every documented URL error has an answer")
  func everyURLError() {
    let codes =
      Array(-1022 ... -995).filter { ![-998, -1021 + 0].contains($0) } + Array(-1206 ... -1200)
      + Array(-3007 ... -3000) + [-1100, -1101, -1102, -1103, -2000, -1021]
    for code in codes { #expect(classifier.classify(url(code)) != .unknown, "\(code)") }
  }

  @Test(
    "A refused certificate is known by its text where it has no code",
    arguments: [
      "SSL certificate problem: self-signed certificate",
      "SSL: no alternative certificate subject name matches target host name 'a'",
    ])
  func refusedCertificate(text: String) {
    let error = NSError(
      domain: "NSURLErrorDomain", code: -1, userInfo: [NSLocalizedDescriptionKey: text])
    let answer = classifier.classify(error)
    #expect(answer.category == .network)
    #expect(answer.retryability == .notRetryable)
    #expect(classifier.classify(url(-1)) == .unknown)
  }

  @Test(
    "POSIX errors mean what they say, as POSIXError and as NSError",
    arguments: [
      (POSIXErrorCode.ENOSPC, ErrorCategory.fileSystem, false), (.EDQUOT, .fileSystem, false),
      (.EROFS, .fileSystem, false), (.EACCES, .fileSystem, false), (.ENOENT, .fileSystem, false),
      (.EINTR, .fileSystem, true), (.EAGAIN, .overload, true), (.EMFILE, .overload, true),
      (.ECONNRESET, .network, true), (.ETIMEDOUT, .network, true), (.ECONNREFUSED, .network, true),
      (.EPIPE, .network, true), (.ENOMEM, .memoryExhaustion, false), (.EINVAL, .validation, false),
      (.ECHILD, .process, false), (.ECANCELED, .cancelled, false),
    ])
  func posix(code: POSIXErrorCode, category: ErrorCategory, isRetryable: Bool) {
    let bridged = NSError(domain: NSPOSIXErrorDomain, code: Int(code.rawValue))
    for answer in [classifier.classify(POSIXError(code)), classifier.classify(bridged)] {
      #expect(answer.category == category)
      #expect(answer.retryability.isRetryable == isRetryable)
    }
  }

  @Test(
    "Cocoa errors mean what they say",
    arguments: [
      (CocoaError.fileNoSuchFile, ErrorCategory.fileSystem, false),
      (.fileReadNoPermission, .fileSystem, false), (.fileWriteOutOfSpace, .fileSystem, false),
      (.fileWriteVolumeReadOnly, .fileSystem, false), (.fileLocking, .fileSystem, true),
      (.fileReadUnknown, .fileSystem, false), (.propertyListReadCorrupt, .validation, false),
      (.coderValueNotFound, .validation, false), (.userCancelled, .cancelled, false),
      (.xpcConnectionInterrupted, .dependency, true),
    ])
  func cocoa(code: CocoaError.Code, category: ErrorCategory, isRetryable: Bool) {
    let answer = classifier.classify(CocoaError(code))
    #expect(answer.category == category)
    #expect(answer.retryability.isRetryable == isRetryable)
  }

  @Test("A Cocoa error that only says that writing failed is what the error under it is")
  func underlying() {
    let error = CocoaError(.fileWriteUnknown, userInfo: [NSUnderlyingErrorKey: POSIXError(.EMFILE)])
    #expect(classifier.classify(error).category == .overload)
    #expect((classifier.causes(of: error).first as? POSIXError)?.code == .EMFILE)
  }

  @Test("A real failure to read a file is a file system error, with its path in the report")
  func realFailure() throws {
    var options = ErrorReport.Options()
    options.classifier = classifier
    do {
      _ = try Data(contentsOf: URL(fileURLWithPath: "/nonexistent/file.bin"))
      Issue.record("read a file that isn't there")
    } catch {
      let report = ErrorReport(error, options: options)
      #expect(report.category == .fileSystem && !report.isRetryable)
      #expect(report.detail.contains("file.bin"))
    }
  }

  @Test("The message of a URL error names code and address, the address without its query")
  func message() {
    let error = NSError(
      domain: "NSURLErrorDomain", code: -1001,
      userInfo: ["NSErrorFailingURLStringKey": "https://me:pw@host/a?sig=1"])
    var options = ErrorReport.Options()
    options.classifier = classifier
    let report = ErrorReport(error, options: options)
    #expect(report.detail.contains("NSURLErrorDomain"))
    #expect(report.detail.contains("-1001"))
    #expect(report.detail.contains("https://<private>@host/a?<private>"))
  }

  @Test("Installed once or many times, from any thread, the default knows Foundation's errors")
  func install() async {
    await withTaskGroup(of: Void.self) { group in
      for _ in 0..<10 { group.addTask { ErrorClassifier.installFoundationRules() } }
    }
    #expect(ErrorClassifier.default.classify(url(-1001)).category == .timeout)
    let wrapped = #expect(throws: ContextualError.self) {
      try withErrorContext("load") { throw url(-999) }
    }
    #expect(wrapped.map { ErrorClassifier.default.isCancellation($0) } == true)
  }

  @Test(
    "An error that classifies itself is not Foundation's business, nor is one of another domain")
  func others() {
    struct Own: ClassifiedError {
      var category: ErrorCategory { .database }
      var retryability: Retryability { .notRetryable }
    }
    struct Bare: Error {}
    #expect(classifier.classify(Own()).category == .database)
    #expect(classifier.classify(Bare()) == .unknown)
    #expect(classifier.causes(of: Bare()).isEmpty)
  }
}
