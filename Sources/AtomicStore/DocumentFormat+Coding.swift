#if canImport(FoundationEssentials)
  internal import FoundationEssentials
#else
  internal import Foundation
#endif

extension DocumentFormat {
  /// The value as JSON.
  func encode(_ value: some Encodable, path: String) throws(DocumentError) -> [UInt8] {
    let encoder = JSONEncoder()
    encoder.outputFormatting =
      sortsKeys ? [.withoutEscapingSlashes, .sortedKeys] : .withoutEscapingSlashes
    switch dates {
    case .secondsSince2001: encoder.dateEncodingStrategy = .deferredToDate
    case .secondsSince1970: encoder.dateEncodingStrategy = .secondsSince1970
    case .iso8601: encoder.dateEncodingStrategy = .iso8601
    }
    do {
      let compact = [UInt8](try encoder.encode(value))
      return layout == .pretty ? JSONLayout.pretty(compact) : compact
    } catch {
      throw DocumentError(encoding: error, path: path)
    }
  }

  /// The value of a JSON text.
  func decode<Value: Decodable>(_ bytes: [UInt8], as: Value.Type) throws -> Value {
    let decoder = JSONDecoder()
    switch dates {
    case .secondsSince2001: decoder.dateDecodingStrategy = .deferredToDate
    case .secondsSince1970: decoder.dateDecodingStrategy = .secondsSince1970
    case .iso8601: decoder.dateDecodingStrategy = .iso8601
    }
    return try decoder.decode(Value.self, from: Data(bytes))
  }
}
