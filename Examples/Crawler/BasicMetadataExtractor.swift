internal import Reliability

/// Takes what the page and the file say of themselves.
struct BasicMetadataExtractor: MetadataExtractor {
  func extract(_ material: FindMaterial) throws -> FindMetadata {
    let format = material.clip.format
    return FindMetadata(
      url: material.address.description,
      page: material.page.address.description,
      title: Self.plain(material.page.title.isEmpty ? material.address.title : material.page.title),
      voice: material.voice.name,
      pitchHertz: material.voice.hertz.map { ($0 * 10).rounded() / 10 },
      language: material.language?.code,
      languageConfidence: material.language.map { ($0.confidence * 1000).rounded() / 1000 },
      seconds: format.map { ($0.seconds * 1000).rounded() / 1000 },
      sampleRate: format?.sampleRate, channels: format?.channels, bits: format?.bits,
      bytes: material.media.byteCount, sha256: material.media.sha256,
      contentType: Self.plain(material.media.contentType),
      foundAt: "\(WallTime.now)")
  }

  /// On one line, without control characters, and not too long.
  private static func plain(_ text: String) -> String {
    var result = ""
    for scalar in text.unicodeScalars.prefix(300) {
      result.unicodeScalars.append(scalar.value < 32 || scalar.value == 127 ? " " : scalar)
    }
    return result
  }
}
