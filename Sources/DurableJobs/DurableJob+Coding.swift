#if canImport(FoundationEssentials)
  internal import FoundationEssentials
#else
  internal import Foundation
#endif

extension DurableJob {
  /// The JSON of the value.
  public func encodedPayload() throws -> [UInt8] {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.withoutEscapingSlashes, .sortedKeys]
    return Array(try encoder.encode(self))
  }

  /// Reads the value from JSON; unknown members are ignored.
  public init(encodedPayload: [UInt8]) throws {
    self = try JSONDecoder().decode(Self.self, from: Data(encodedPayload))
  }
}
