import Foundation

/// What the guides tell people to type and to look at, for tests that compare it with the programs.
package enum Guides {
  private static let root = URL(filePath: #filePath)
    .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

  /// A line of a guide.
  package struct Line: Sendable, CustomStringConvertible {
    package let path: String
    package let number: Int
    package let text: String
    /// Whether it is in a block of code.
    package let isCode: Bool

    package var description: String { "\(path):\(number): \(text)" }
  }

  /// The lines of `README.md`, `CONTRIBUTING.md` and every article below `Sources`.
  ///
  /// - Parameter folder: Only articles whose path contains this.
  package static func lines(in folder: String = "") throws -> [Line] {
    let articles = try FileManager.default.subpathsOfDirectory(
      atPath: root.appending(path: "Sources").resolvingSymlinksInPath().path(percentEncoded: false)
    ).filter { $0.hasSuffix(".md") }.sorted().map { "Sources/\($0)" }
    let paths = (["README.md", "CONTRIBUTING.md"] + articles)
      .filter { folder.isEmpty || $0.contains(folder) }
    return try paths.flatMap { path in
      var isFenced = false
      let text = try String(contentsOf: root.appending(path: path), encoding: .utf8)
      return text.split(separator: "\n", omittingEmptySubsequences: false).enumerated().map {
        if $1.contains("```") { isFenced.toggle() }
        let line = $1.trimmingCharacters(in: .whitespaces)
        return Line(
          path: path, number: $0 + 1, text: line, isCode: isFenced || $1.hasPrefix("    "))
      }
    }
  }

  /// The arguments of each call of a program in a block of code, as a shell would split them.
  package static func calls(
    of program: String
  ) throws -> [(line: Line, arguments: [String])] {
    try lines().filter(\.isCode).compactMap { line in
      var text = line.text[...]
      if text.hasPrefix("swift run ") { text = text.dropFirst(10) }
      let words = words(text)
      guard words.first == program else { return nil }
      return (line, Array(words.dropFirst()))
    }
  }

  /// The words before the first pipe, redirection or comment.
  package static func words(_ text: Substring) -> [String] {
    var words: [String] = []
    var word: String?
    var quote: Character?
    for character in text {
      if let open = quote {
        if character == open { quote = nil } else { word = (word ?? "") + "\(character)" }
        continue
      }
      switch character {
      case "'", "\"":
        quote = character
        word = word ?? ""
      case " ":
        if let word { words.append(word) }
        word = nil
      case "#" where word == nil, "|", ">", ";", "&":
        if let word { words.append(word) }
        return words
      default: word = (word ?? "") + "\(character)"
      }
    }
    if let word { words.append(word) }
    return words
  }
}
