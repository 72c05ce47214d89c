internal import ErrorContext
internal import ReliabilityCore

/// Says what kind of failure a process that has ended met, if any.
struct FailureJudge: Sendable {
  /// What came of a process.
  struct Verdict {
    var code: ProcessError.Code
    var failure: ProcessFailure
    var retryability: Retryability
  }

  var rules: [ProcessRule] = []
  var acceptedExitCodes: Set<Int32> = [0]
  var failsOnEmptyFile = false
  var retryDelay: Duration?

  /// The verdict, `nil` for a success and for a child that was ended because nobody wanted it any longer.
  func verdict(on report: ProcessReport) -> Verdict? {
    guard let code = failureCode(of: report) else { return nil }
    let answer = known(code, report) ?? rule(for: report) ?? .init(.unknown)
    return Verdict(
      code: code, failure: answer.failure,
      retryability: answer.retryability ?? retryability(of: answer.failure, report))
  }

  private func failureCode(of report: ProcessReport) -> ProcessError.Code? {
    switch report.stopReason {
    case .totalLimit?, .stalled?, .startupLimit?, .deadline?: return .timedOut
    case .memoryLimit?: return .memoryLimit
    case .outputLimit?: return .outputLimit
    case .some: return nil
    case nil: break
    }
    switch report.exit {
    case .code(let code):
      guard acceptedExitCodes.contains(code) else { return .exitCode }
      return failsOnEmptyFile && (report.watchedFileSize ?? 0) <= 0 ? .emptyFile : nil
    case .signal: return .signal
    case .unknown: return .exitUnknown
    }
  }

  /// What the supervisor itself brought about or saw.
  private func known(_ code: ProcessError.Code, _ report: ProcessReport) -> ProcessRule.Answer? {
    switch code {
    case .timedOut: .init(.processTimeout)
    case .memoryLimit: .init(.memoryExhaustion)
    case .emptyFile: .init(.fileSystemError, retryability: retryable)
    default: nil
    }
  }

  private func rule(for report: ProcessReport) -> ProcessRule.Answer? {
    ProcessRule.answer(rules, to: report) ?? ended(report)
      ?? ProcessRule.answer(ProcessRule.standard, to: report)
  }

  /// What signals, and the codes with which shells pass them on, say.
  private func ended(_ report: ProcessReport) -> ProcessRule.Answer? {
    let signal: Int32
    switch report.exit {
    case .signal(let number): signal = number
    case .code(let code) where code > 128 && code < 160: signal = code - 128
    default: return nil
    }
    switch signal {
    case 9 where isNearMemoryLimit(report): return .init(.memoryExhaustion)
    // SIGXFSZ.
    case 25: return .init(.fileSystemError, retryability: .notRetryable)
    // SIGXCPU.
    case 24: return .init(.processTimeout)
    default: return nil
    }
  }

  /// SIGKILL that was not ours is mostly the kernel's, out of memory.
  private func isNearMemoryLimit(_ report: ProcessReport) -> Bool {
    let limit = report.memoryLimitBytes ?? Machine.memoryBytes
    return Double(report.peakMemoryBytes) >= 0.8 * Double(limit)
      || (report.lastSample?.memoryPercent ?? 0) >= 80
  }

  private var retryable: Retryability { .retryable(after: retryDelay) }

  private func retryability(of failure: ProcessFailure, _ report: ProcessReport) -> Retryability {
    switch failure {
    // The same work needs the same memory; a smaller quality may do.
    case .memoryExhaustion: .notRetryable
    case .unknown where report.exit == .code(126) || report.exit == .code(127): .notRetryable
    default: retryable
    }
  }
}

extension FailureJudge {
  init(_ configuration: ProcessConfiguration, rules: [ProcessRule]) {
    self.rules = rules
    acceptedExitCodes = configuration.acceptedExitCodes
    failsOnEmptyFile = configuration.failsOnEmptyFile
    retryDelay = configuration.retryDelay
  }
}
