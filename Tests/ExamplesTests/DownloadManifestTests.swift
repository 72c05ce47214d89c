import Reliability
import ReliabilityTestSupport
import Testing

@testable import ReliabilityDownloader

@Suite struct DownloadManifestTests {
  @Test func aNameBelongsToTheFirstAddressThatAsksForIt() async throws {
    let directory = ScratchDirectory()
    let manifest = Manifest(in: directory.path)
    let first = try DownloadPlan.item("http://a/file.zip")
    let second = try DownloadPlan.item("http://b/file.zip")
    #expect(await manifest.claim(first))
    #expect(await !manifest.claim(second))
    #expect(await manifest.claim(first))
    var renamed = second
    renamed.name = DownloadService.distinctName(of: second)
    #expect(renamed.name.hasSuffix("-file.zip") && renamed.name != second.name)
    #expect(await manifest.claim(renamed))
  }

  @Test(arguments: [
    "manifest.json", "manifest.json.lock", ".a.1a.0123456789abcdef.rtmp", ".0f.tool-rtmp",
  ])
  func namesOfTheProgramsOwnFilesAreNobodys(name: String) async throws {
    let directory = ScratchDirectory()
    let manifest = Manifest(in: directory.path)
    #expect(await !manifest.claim(try DownloadPlan.item("http://a/\(name)")))
  }

  @Test func theNameOfAnAddressOfAnEarlierRunIsKept() async throws {
    let directory = ScratchDirectory()
    let item = try DownloadPlan.item("http://a/file.zip")
    let before = Manifest(in: directory.path)
    try await before.willPublish(item, TransferOutcome(bytes: 1))
    let manifest = Manifest(in: directory.path)
    #expect(await !manifest.claim(try DownloadPlan.item("http://b/file.zip")))
    #expect(await manifest.claim(item))
  }
}
