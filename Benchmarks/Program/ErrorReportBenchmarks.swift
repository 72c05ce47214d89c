import ErrorContext

/// What it costs to say what went wrong, which happens once a failure, not once a call.
enum ErrorReportBenchmarks {
  static let all: [Benchmark] = [
    .timed("errorreport/make") {
      let error = contextualError()
      return Comparison(subject: { iterations in
        for _ in 0..<iterations { keep(ErrorReport(error)) }
      })
    },
    .timed("errorreport/json") {
      let report = ErrorReport(contextualError())
      return Comparison(subject: { iterations in
        for _ in 0..<iterations { keep(report.json()) }
      })
    },
    .timed("errorreport/context-unused", difference: "over_bare_ns") {
      Comparison(
        subject: { iterations in
          for _ in 0..<iterations {
            keep(
              try await withErrorContext("download", ["file": "video.mp4"]) {
                try await succeed()
              })
          }
        },
        yardstick: (
          "bare-await",
          { iterations in
            for _ in 0..<iterations { keep(try await succeed()) }
          }
        ))
    },
  ]

  /// An error that went through two contexts on its way.
  private static func contextualError() -> any Error {
    do {
      return try withErrorContext("download", ["file": "video.mp4", "attempt": 3]) {
        try withErrorContext("connect", ["host": "example.org"]) { throw Unreachable() }
      }
    } catch {
      return error
    }
  }

  private struct Unreachable: ClassifiedError, CustomStringConvertible {
    var category: ErrorCategory { .network }
    var retryability: Retryability { .retryable(after: .seconds(2)) }
    var description: String { "connection to https://user:secret@example.org/a?token=1 refused" }
  }
}
