#if canImport(FoundationEssentials)
  internal import FoundationEssentials
#else
  internal import Foundation
#endif

/// The one place where values become JSON bytes and come back.
enum PayloadCoding {
  private static let numbers = ("inf", "-inf", "nan")

  /// JSON on one line; numbers that JSON lacks become strings, so that no payload is lost for one.
  static func encode(_ value: some Encodable) throws -> [UInt8] {
    let encoder = JSONEncoder()
    encoder.outputFormatting = .withoutEscapingSlashes
    encoder.nonConformingFloatEncodingStrategy = .convertToString(
      positiveInfinity: numbers.0, negativeInfinity: numbers.1, nan: numbers.2)
    return Array(try encoder.encode(value))
  }

  static func decode<Value: Decodable>(_ type: Value.Type, from bytes: [UInt8]) throws -> Value {
    let decoder = JSONDecoder()
    decoder.nonConformingFloatDecodingStrategy = .convertFromString(
      positiveInfinity: numbers.0, negativeInfinity: numbers.1, nan: numbers.2)
    return try decoder.decode(type, from: Data(bytes))
  }
}
