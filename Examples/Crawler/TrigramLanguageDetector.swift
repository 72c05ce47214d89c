internal import Foundation
internal import Reliability

/// Tells languages apart by how often each three letters in a row come up (Cavnar and Trenkle, "N-Gram-Based Text
/// Categorization", 1994; here with probabilities instead of ranks).
///
///     let detector = try TrigramLanguageDetector(samples: LanguageSamples.all)
///     print(try detector.detect("The cat sat on the mat and waited for her dinner.")?.code ?? "?")  // en
///
/// Its limits: it knows the languages it has samples of and calls a text in any other one the nearest, unless that is
/// far off; it needs some twenty letters; and it hears one language a text.
struct TrigramLanguageDetector: LanguageDetector {
  /// There is nothing to compare texts with.
  struct NoSamples: ClassifiedError, CustomStringConvertible {
    let source: String
    var category: ErrorCategory { .validation }
    var retryability: Retryability { .notRetryable }
    var userMessage: String? { "The language detector can't start: \(source)." }
    var suggestedActions: [String] {
      ["Give --language-data a directory with one text a language, such as en.txt."]
    }
    var description: String { source }
  }

  private let profiles: [(code: String, weights: [UInt64: Double], unseen: Double)]
  private static let textLimit = 4_000

  var languages: Set<String> { Set(profiles.map(\.code)) }

  /// Learns languages from samples.
  ///
  /// - Parameters:
  ///   - samples: Some thousand letters a language, by its code.
  ///   - source: Where they come from, for the error.
  /// - Throws: ``NoSamples`` when there are none with letters in them.
  init(
    samples: [String: String], source: String = "there are no sample texts"
  ) throws(NoSamples) {
    let counts =
      samples.mapValues { Self.trigrams(in: $0).reduce(into: [:]) { $0[$1, default: 0] += 1 } }
      .filter { $0.value.count >= 50 } as [String: [UInt64: Int]]
    guard !counts.isEmpty else { throw NoSamples(source: source) }
    profiles = counts.sorted { $0.key < $1.key }.map { code, counts in
      // Additive smoothing: what a sample happens not to have is rare, not impossible.
      let total = Double(counts.values.reduce(0, +)) + 0.3 * 8_000
      return (
        code, counts.mapValues { log((Double($0) + 0.3) / total) }, log(0.3 / total)
      )
    }
  }

  func detect(_ text: String) -> DetectedLanguage? {
    let trigrams = Self.trigrams(in: text)
    guard trigrams.count >= 20 else { return nil }
    var scores: [(code: String, score: Double, known: Int)] = []
    for profile in profiles {
      var score = 0.0
      var known = 0
      for trigram in trigrams {
        if let weight = profile.weights[trigram] {
          score += weight
          known += 1
        } else {
          score += profile.unseen
        }
      }
      scores.append((profile.code, score / Double(trigrams.count), known))
    }
    scores.sort { $0.score > $1.score }
    // A text of a language nobody taught it has few of the sample's trigrams.
    guard scores[0].known * 5 >= trigrams.count * 2 else { return nil }
    let lead = scores.count > 1 ? scores[0].score - scores[1].score : 1
    return DetectedLanguage(code: scores[0].code, confidence: 1 - exp(-3 * lead))
  }

  /// Three letters each in one number: small letters, anything else a blank, never two blanks in a row.
  private static func trigrams(in text: String) -> [UInt64] {
    var result: [UInt64] = []
    var window: UInt64 = 0x20
    var count = 0
    for scalar in text.unicodeScalars {
      let letter: UInt64
      if scalar.properties.isAlphabetic {
        letter = UInt64(
          scalar.isASCII
            ? scalar.value | 0x20
            : (scalar.properties.lowercaseMapping.unicodeScalars.first ?? scalar).value)
      } else {
        letter = 0x20
      }
      if letter == 0x20, window & 0x1f_ffff == 0x20 { continue }
      window = (window << 21 | letter) & 0x7fff_ffff_ffff_ffff
      count += 1
      if count >= 2 { result.append(window) }
      if count >= textLimit { break }
    }
    return result
  }
}

extension TrigramLanguageDetector {
  /// Learns from a directory of texts, one a language, named by its code: `en.txt`.
  ///
  /// - Throws: ``NoSamples`` when there is nothing to learn from.
  static func learning(from directory: String) throws(NoSamples) -> TrigramLanguageDetector {
    var samples: [String: String] = [:]
    let names = (try? FileManager.default.contentsOfDirectory(atPath: directory)) ?? []
    for name in names where name.hasSuffix(".txt") && samples.count < 200 {
      guard let file = FileHandle(forReadingAtPath: "\(directory)/\(name)"),
        let data = try? file.read(upToCount: 1 << 20)
      else { continue }
      samples[String(name.dropLast(4)).lowercased()] = String(decoding: data, as: UTF8.self)
    }
    return try TrigramLanguageDetector(
      samples: samples, source: "there is no text to learn from in \(directory)")
  }
}
