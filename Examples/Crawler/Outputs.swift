internal import Foundation
internal import Reliability

/// What the outputs of a directory hold, and whether they agree.
struct Outputs: Sendable {
  /// The lines of `urls.txt`.
  var urls: [String] = []
  /// The `url` of each line of `metadata.jsonl`.
  var metadata: [String] = []
  /// The keys of `finds` in `manifest.json`.
  var manifest: Set<String> = []

  /// The members of `finds`, with a comma between two.
  fileprivate(set) var encodedFinds: [UInt8] = []
  /// Members of the manifest's content that are not the crawler's, each with a comma before it.
  fileprivate(set) var otherMembers: [UInt8] = []

  /// Every URL that is anywhere.
  var known: Set<String> { manifest.union(urls).union(metadata) }

  /// URLs that are in one output and not in all: what must never be.
  var orphans: [String] {
    let (lines, described) = (Set(urls), Set(metadata))
    return known.filter { !lines.contains($0) || !described.contains($0) || !manifest.contains($0) }
      .sorted()
  }

  /// How many lines say again what another line has said.
  var duplicates: Int { urls.count - Set(urls).count + metadata.count - Set(metadata).count }

  /// Reads a directory's outputs; missing ones are empty.
  ///
  /// - Throws: `StoreError` when a file can't be read, ``LedgerError`` when it is not what it should be.
  static func read(_ directory: String, fileSystem: FileSystem = .real) async throws -> Outputs {
    func bytes(_ name: String) async throws -> [UInt8] {
      try await AtomicFile.contents(of: "\(directory)/\(name)", fileSystem: fileSystem)?.bytes ?? []
    }
    var outputs = Outputs()
    outputs.urls = try await bytes(Ledger.urls).split(separator: UInt8(ascii: "\n"))
      .map { String(decoding: $0, as: UTF8.self) }
    let decoder = JSONDecoder()
    for line in try await bytes(Ledger.metadata).split(separator: UInt8(ascii: "\n")) {
      // A line of somebody else's is left alone.
      if let found = try? decoder.decode(Line.self, from: Data(line)) {
        outputs.metadata.append(found.url)
      }
    }
    let manifest = try await bytes(Ledger.manifest)
    if !manifest.isEmpty {
      do {
        try outputs.take(manifest: manifest)
      } catch {
        throw LedgerError(path: "\(directory)/\(Ledger.manifest)", cause: error)
      }
    }
    return outputs
  }

  private struct Line: Decodable { let url: String }

  private mutating func take(manifest: [UInt8]) throws {
    let document = try JSONSerialization.jsonObject(with: Data(manifest)) as? [String: Any]
    guard var content = document?["content"] as? [String: Any],
      content["format"] as? String == "crawl",
      content["version"] as? Int == 1, let finds = content["finds"] as? [String: Any]
    else { throw LedgerError.Flaw.notACrawl }
    for name in ["format", "version", "finds"] { content[name] = nil }
    self.manifest = Set(finds.keys)
    encodedFinds = try Self.members(finds)
    otherMembers = content.isEmpty ? [] : [UInt8(ascii: ",")] + (try Self.members(content))
  }

  /// The inside of an object.
  private static func members(_ object: [String: Any]) throws -> [UInt8] {
    let data = try JSONSerialization.data(
      withJSONObject: object, options: [.sortedKeys, .withoutEscapingSlashes])
    return Array(data.dropFirst().dropLast())
  }
}

/// Outputs that are not those of a crawl, or of a later version's.
struct LedgerError: ClassifiedError, ErrorWithCauses, CustomStringConvertible {
  enum Flaw: Error { case notACrawl }

  let path: String
  let cause: any Error
  var causes: [any Error] { [cause] }
  var category: ErrorCategory { .fileSystem }
  var retryability: Retryability { .notRetryable }
  var userMessage: String? { "\(description)." }
  var suggestedActions: [String] { ["Choose another directory with --output."] }
  var description: String {
    "\(path) is not the manifest of a crawl that this program can go on with"
  }
}
