internal import Foundation

/// Where a tool writes: a name beside the destination that belongs to a temporary file of this program.
///
/// Tools replace what they write, or write beside it under longer names. So they get a name of their own, and everything
/// that begins with it is theirs. It is made of the name of the temporary file, which lives and is locked as long as
/// the download: where that is gone, nobody needs the tool's files any more.
struct ToolScratch: Hashable, Sendable {
  let directory: String
  let name: String

  var path: String {
    // Never taken for an option.
    directory.hasPrefix("/") ? "\(directory)/\(name)" : "./\(directory)/\(name)"
  }

  /// - Parameter temporaryPath: The temporary file of the download.
  init(for temporaryPath: String) {
    let url = URL(fileURLWithPath: temporaryPath)
    let slash = temporaryPath.lastIndex(of: "/")
    directory = slash.map { String(temporaryPath[..<$0]) } ?? "."
    name = Self.name(of: url.lastPathComponent)
  }

  private static func name(of temporary: String) -> String {
    // FNV-1a, 64 bits.
    var hash: UInt64 = 14_695_981_039_346_656_037
    for byte in temporary.utf8 { hash = (hash ^ UInt64(byte)) &* 1_099_511_628_211 }
    let digits = String(hash, radix: 16)
    return "." + String(repeating: "0", count: 16 - digits.count) + digits + suffix
  }

  private static let suffix = ".tool-rtmp"

  /// How much the tool has written.
  var size: Int {
    let attributes = try? FileManager.default.attributesOfItem(atPath: path)
    return (attributes?[.size] as? Int) ?? 0
  }

  /// Removes what the tool has left.
  func remove() {
    for entry in Self.entries(of: directory) where entry.hasPrefix(name) {
      try? FileManager.default.removeItem(atPath: "\(directory)/\(entry)")
    }
  }

  /// Removes what tools have left whose downloader is gone.
  ///
  /// Call it after the orphaned temporary files were removed.
  static func sweep(_ directory: String) {
    let entries = entries(of: directory)
    let left = entries.filter { $0.hasPrefix(".") && $0.contains(suffix) }
    guard !left.isEmpty else { return }
    let alive = Set(entries.filter { $0.hasSuffix(".rtmp") }.map { name(of: $0) })
    for entry in left where !alive.contains(where: { entry.hasPrefix($0) }) {
      try? FileManager.default.removeItem(atPath: "\(directory)/\(entry)")
    }
  }

  private static func entries(of directory: String) -> [String] {
    (try? FileManager.default.contentsOfDirectory(atPath: directory)) ?? []
  }
}
