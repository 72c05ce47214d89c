import AtomicStore
import ReliabilityTestSupport

extension AppendLog {
  /// All records as text.
  func texts(from position: Position? = nil) async throws -> [String] {
    var texts: [String] = []
    for try await record in records(from: position) {
      texts.append(String(decoding: record.payload, as: UTF8.self))
    }
    return texts
  }

  @discardableResult
  func append(_ text: String, durability: Durability = .full) async throws -> Receipt {
    try await append(bytes(text), durability: durability)
  }
}

/// A record of about so many bytes.
func record(_ number: Int, size: Int = 20) -> String {
  let head = #"{"n":\#(number),"pad":""#
  return head + String(repeating: "x", count: max(0, size - head.utf8.count - 2)) + #""}"#
}
