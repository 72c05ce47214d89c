internal import ReliabilityExampleSupport

/// The command line of an external download tool, with places for what changes.
///
///     let command = try ToolCommand("yt-dlp -f {quality} -N {threads} -o {output} {url}")
///
/// No shell is involved: the text is split at blanks, single and double quotes keep blanks together, a backslash takes the next
/// character as it is. What is put in never becomes more than one argument.
struct ToolCommand: Hashable, Sendable {
  /// What changes from one call to the next.
  struct Values {
    var url: String
    var output: String
    var quality: String
    var threads: Int
  }

  private static let places = ["{url}", "{output}", "{quality}", "{threads}"]

  /// The program's name or path.
  let program: String
  private let pattern: [String]

  /// Whether the tool is told the quality, without which there is nothing to step down.
  var takesQuality: Bool { pattern.contains { $0.contains("{quality}") } }

  /// - Throws: `UsageError` with one line that says what is wrong.
  init(_ text: String) throws(UsageError) {
    var words = try Self.split(text)
    guard !words.isEmpty, !words[0].contains("{") else {
      throw UsageError("--tool must begin with the name of a program, not \(text.quotedForDisplay)")
    }
    program = words.removeFirst()
    pattern = words
    for place in ["{url}", "{output}"] where !words.contains(where: { $0.contains(place) }) {
      throw UsageError(
        "--tool needs \(place), as in 'yt-dlp -f {quality} -o {output} {url}', not "
          + text.quotedForDisplay)
    }
  }

  /// What follows the program's name.
  func arguments(_ values: Values) -> [String] {
    pattern.map { Self.fill($0, values) }
  }

  /// Looks at the pattern once from left to right, so that what is put in is never looked at.
  private static func fill(_ pattern: String, _ values: Values) -> String {
    var result = ""
    var rest = pattern[...]
    while let brace = rest.firstIndex(of: "{") {
      result += rest[..<brace]
      rest = rest[brace...]
      guard let place = places.first(where: { rest.hasPrefix($0) }) else {
        result.append(rest.removeFirst())
        continue
      }
      switch place {
      case "{url}": result += values.url
      case "{output}": result += values.output
      case "{quality}": result += values.quality
      default: result += "\(values.threads)"
      }
      rest = rest.dropFirst(place.count)
    }
    return result + rest
  }

  private static func split(_ text: String) throws(UsageError) -> [String] {
    var words: [String] = []
    var word: String?
    var quote: Character?
    var isEscaped = false
    for character in text {
      if isEscaped {
        word = (word ?? "") + String(character)
        isEscaped = false
      } else if character == "\\", quote != "'" {
        isEscaped = true
      } else if let open = quote {
        if character == open { quote = nil } else { word = (word ?? "") + String(character) }
      } else if character == "'" || character == "\"" {
        quote = character
        word = word ?? ""
      } else if character.isWhitespace {
        if let whole = word { words.append(whole) }
        word = nil
      } else {
        word = (word ?? "") + String(character)
      }
    }
    guard quote == nil, !isEscaped else {
      throw UsageError("--tool has a quote or a backslash too many in \(text.quotedForDisplay)")
    }
    if let whole = word { words.append(whole) }
    return words
  }
}
