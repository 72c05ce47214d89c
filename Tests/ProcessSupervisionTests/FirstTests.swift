import ProcessSupervision
import Testing
@Suite(.serialized) struct RealTimeFirstTests {
  @Test func works() async throws {
    let report = try await runProcess("echo", ["hello"])
    #expect(report.outputTail == "hello\n")
    #expect(report.exit == .code(0))
    print(report)
    await #expect(throws: ProcessError.self) { try await runProcess("/bin/sh", ["-c", "echo no >&2; exit 3"]) }
    await #expect(throws: ProcessError.self) { try await runProcess("/nonexistent") }
    let n = try await withProcess("seq", ["100000"]) { p in
      var n = 0
      for try await _ in p.lines { n += 1 }
      return n
    }
    #expect(n == 100000)
  }
}
