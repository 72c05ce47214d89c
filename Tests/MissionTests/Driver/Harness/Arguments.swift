/// The words after the command: `--name value` pairs.
struct Arguments: Sendable {
  private var values: [String: String] = [:]

  init(_ words: some Sequence<String>) {
    var name: String?
    for word in words {
      if let current = name {
        values[current] = word
        name = nil
      } else {
        name = word.hasPrefix("--") ? String(word.dropFirst(2)) : word
      }
    }
    if let name { values[name] = "" }
  }

  subscript(name: String) -> String? { values[name] }

  func int(_ name: String, default value: Int) -> Int {
    guard let text = values[name] else { return value }
    guard let number = Int(text), number >= 0 else {
      preconditionFailure("--\(name) must be a whole number")
    }
    return number
  }

  /// The seed of this run's chance.
  var seed: UInt64 { UInt64(int("seed", default: 1)) }

  /// How long the check may go on.
  var duration: Duration { .milliseconds(int("milliseconds", default: 2000)) }
}
