/// Says whose voice a recording holds.
protocol VoiceClassifier: Sendable {
  /// - Throws: What keeps it from looking at all. A recording it can't make sense of is ``Voice/unknown(_:)``.
  func classify(_ clip: AudioClip) throws -> Voice
}

/// Says which language a text is in.
protocol LanguageDetector: Sendable {
  /// The codes it can answer with.
  var languages: Set<String> { get }
  /// - Returns: The code of ISO 639 and how sure it is, or `nil` when it can't say.
  func detect(_ text: String) throws -> DetectedLanguage?
}

/// Puts together what is kept of a find.
protocol MetadataExtractor: Sendable {
  func extract(_ material: FindMaterial) throws -> FindMetadata
}

/// Whose voice a recording holds.
enum Voice: Hashable, Sendable {
  case child(hertz: Double)
  case adult(hertz: Double)
  /// Neither could be heard, and why.
  case unknown(String)

  var name: String {
    switch self {
    case .child: "child"
    case .adult: "adult"
    case .unknown: "unknown"
    }
  }

  var hertz: Double? {
    switch self {
    case .child(let hertz), .adult(let hertz): hertz
    case .unknown: nil
    }
  }
}

struct DetectedLanguage: Hashable, Sendable {
  let code: String
  /// From 0 to 1: how much more likely than the next language, per three letters.
  let confidence: Double
}

/// What the steps have found out about a candidate.
struct FindMaterial: Sendable {
  var address: WebAddress
  var page: PageContext
  var media: Fetched
  var clip: AudioClip
  var voice: Voice
  var language: DetectedLanguage?
}

/// The page that referred to a candidate.
struct PageContext: Hashable, Sendable {
  var address: WebAddress
  var title: String
  var text: String
  var depth: Int
}

/// What is kept of a find: a line of `metadata.jsonl`.
struct FindMetadata: Codable, Hashable, Sendable {
  var url: String
  var page: String
  var title: String
  var voice: String
  var pitchHertz: Double?
  var language: String?
  var languageConfidence: Double?
  var seconds: Double?
  var sampleRate: Int?
  var channels: Int?
  var bits: Int?
  var bytes: Int
  var sha256: String
  var contentType: String
  var foundAt: String

  private enum CodingKeys: String, CodingKey {
    case url, page, title, voice, language, seconds, channels, bits, bytes, sha256
    case pitchHertz = "pitch_hz"
    case languageConfidence = "language_confidence"
    case sampleRate = "sample_rate"
    case contentType = "content_type"
    case foundAt = "found_at"
  }
}
