import AtomicStore
import Foundation
import ReliabilityFoundation
import Testing

@Suite struct AtomicStoreDataTests {
  private func withDirectory(_ body: (URL) async throws -> Void) async throws {
    let directory = FileManager.default.temporaryDirectory
      .appending(path: "reliability data \(UUID().uuidString)")
    try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: directory) }
    try await body(directory)
  }

  @Test func dataIsSavedAndReadAtAURLWithSpacesAndLetters() async throws {
    try await withDirectory { directory in
      let url = directory.appending(path: "a ж%.bin")
      #expect(try await AtomicFile.data(at: url) == nil)
      let outcome = try await AtomicFile.replace(url, with: Data([1, 2, 3]))
      #expect(outcome.isDurable)
      #expect(try await AtomicFile.data(at: url) == Data([1, 2, 3]))
      #expect(try Data(contentsOf: url) == Data([1, 2, 3]))
      let file = try await AtomicFile(replacing: url)
      try await file.append(Data([4]))
      try await file.publish()
      #expect(try await AtomicFile.data(at: url) == Data([4]))
    }
  }

  @Test func aURLThatIsNoFileIsRefused() async throws {
    let url = try #require(URL(string: "https://example.org/a"))
    let error = await #expect(throws: StoreError.self) {
      try await AtomicFile.replace(url, with: Data())
    }
    #expect(error?.code == .invalidPath && error?.path == "https://example.org/a")
  }

  @Test func aDocumentAtAURLIsUpdated() async throws {
    try await withDirectory { directory in
      let document = AtomicDocument<[String: Int]>(url: directory.appending(path: "a b.json"))
      let saved = try await document.update(default: [:]) { $0["x"] = 1 }
      let loaded = try await document.load()
      #expect(saved == ["x": 1] && loaded.value == ["x": 1])
    }
  }
}
