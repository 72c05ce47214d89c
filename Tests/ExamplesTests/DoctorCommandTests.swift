import Foundation
import Reliability
import ReliabilityExampleSupport
import ReliabilityTestSupport
import Testing

@testable import ReliabilityDownloader

/// The commands that look after directories.
@Suite struct DoctorCommandTests {
  private struct Answer: Decodable {
    struct File: Decodable {
      var path: String
      var bytes: Int
      var state: String
    }
    var temporaryFiles: [File]

    private enum CodingKeys: String, CodingKey { case temporaryFiles = "temporary_files" }
  }

  private func answer(_ arguments: String...) async throws -> Answer {
    let (text, isGood) = try await DoctorCommand(arguments + ["--json"]).run()
    #expect(isGood)
    return try JSONDecoder().decode(Answer.self, from: Data(text.utf8))
  }

  @Test func whatAKilledWriterLeftIsShownAndGoesWhenAsked() async throws {
    let scratch = ScratchDirectory()
    let orphan = scratch.file(".a.bin.9.0123456789abcdef.rtmp")
    try Data("half".utf8).write(to: URL(filePath: orphan))
    let writer = try await AtomicFile(replacing: scratch.file("b.bin"))
    try await writer.append(Array("whole".utf8))

    var files = try await answer(scratch.path).temporaryFiles
    #expect(Set(files.map(\.state)) == ["orphaned", "live"])
    #expect(files.first { $0.state == "orphaned" }?.path == orphan)
    files = try await answer(scratch.path, "--sweep").temporaryFiles
    #expect(Set(files.map(\.state)) == ["removed", "live"])
    #expect(!FileManager.default.fileExists(atPath: orphan))
    try await writer.publish()
    #expect(try await answer(scratch.path).temporaryFiles.isEmpty)
  }

  @Test func itIsSaidInWordsWhatHoldsThere() async throws {
    let scratch = ScratchDirectory()
    let text = try await DoctorCommand([scratch.path]).run().text
    #expect(text.contains("atomicSave ") && text.hasSuffix("\nno temporary files\n"))
    await #expect(throws: (any Error).self) {
      _ = try await DoctorCommand([scratch.file("missing")]).run()
    }
    #expect(throws: UsageError.self) { _ = try DoctorCommand([]) }
    #expect(throws: UsageError.self) { _ = try DoctorCommand(["a", "b"]) }
  }

  @Test func aServiceThatHasStoppedListeningIsNamed() async throws {
    let scratch = ScratchDirectory()
    let state = try await StateDirectory.open(scratch.path, command: "serve")
    try await state.announce(
      StateDirectory.Owner(pid: 4242, command: "serve", listen: "127.0.0.1:1"))
    do {
      _ = try await StateCommand(["status", "--state", scratch.path]).run()
      Issue.record("nobody is there to answer")
    } catch let error as StateInUse {
      #expect("\(error)".contains("process 4242 (serve)"))
    }
    try await state.close(nil)
  }

  @Test func aDamagedManifestIsCountedAndTold() async throws {
    let scratch = ScratchDirectory()
    try Data("{\"version\":1,".utf8).write(to: URL(filePath: scratch.file("manifest.json")))
    let told = Log<String>()
    let manifest = Manifest(in: scratch.path) { told.append("\($0)") }
    let item = try DownloadPlan.item("https://example.org/a.bin")
    try await manifest.willPublish(item, TransferOutcome(bytes: 3, digest: nil))
    try await manifest.flush()
    #expect(told.all.contains { $0.contains("is damaged") })
    let counts = manifest.figures.samples().filter { $0.value > 0 }.map(\.name)
    #expect(counts.contains("document_quarantined_total"))
  }
}
