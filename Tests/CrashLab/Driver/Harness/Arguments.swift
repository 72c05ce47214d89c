/// The words after the command: `--name value` pairs.
struct Arguments: Sendable {
  private var values: [String: String] = [:]

  init(_ words: some Sequence<String>) {
    var name: String?
    for word in words {
      if let current = name {
        values[current] = word
        name = nil
      } else if word.hasPrefix("--") {
        name = String(word.dropFirst(2))
      } else {
        System.fail("unexpected argument: \(word)")
      }
    }
    if let name { System.fail("--\(name) needs a value") }
  }

  subscript(optional name: String) -> String? { values[name] }

  subscript(name: String) -> String {
    guard let value = values[name] else { System.fail("--\(name) is missing") }
    return value
  }

  func int(_ name: String, default value: Int? = nil) -> Int {
    guard let text = values[name] else {
      guard let value else { System.fail("--\(name) is missing") }
      return value
    }
    guard let number = Int(text) else { System.fail("--\(name) must be a number") }
    return number
  }

  /// The seed of this run's chance.
  var seed: UInt64 { UInt64(int("seed", default: 1)) }

  /// How long a part may go on.
  var duration: Duration { .milliseconds(int("milliseconds", default: 5000)) }

  var bug: SeededBug? {
    guard let text = values["bug"] else { return nil }
    guard let bug = SeededBug(rawValue: text) else { System.fail("no such bug: \(text)") }
    return bug
  }
}
