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
    Array(try encoder.encode(value))
  }

  /// One for all: each call works on a copy of its settings, which nobody changes.
  private static let encoder: JSONEncoder = {
    let encoder = JSONEncoder()
    encoder.outputFormatting = .withoutEscapingSlashes
    encoder.nonConformingFloatEncodingStrategy = .convertToString(
      positiveInfinity: numbers.0, negativeInfinity: numbers.1, nan: numbers.2)
    return encoder
  }()

  static func decode<Value: Decodable>(_ type: Value.Type, from bytes: [UInt8]) throws -> Value {
    let decoder = JSONDecoder()
    decoder.nonConformingFloatDecodingStrategy = .convertFromString(
      positiveInfinity: numbers.0, negativeInfinity: numbers.1, nan: numbers.2)
    return try decoder.decode(type, from: Data(bytes))
  }
}
