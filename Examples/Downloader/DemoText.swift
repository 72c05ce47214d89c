internal import ReliabilityExampleSupport

/// What the demo says about its server.
enum DemoText {
  static func introduction(_ origin: MediaOrigin, _ options: Options) -> String {
    let bytes = origin.items.map(\.file.byteCount).reduce(0, +)
    let faulty = origin.items.filter { !$0.faults.isEmpty }.count
    return """
      Demo: \(origin.items.count) sound files, \(ByteText.short(bytes)), from a server on this machine that \
      misbehaves with \(faulty) of them.
      Each file gets \(options.attempts == 1 ? "one attempt" : "up to \(options.attempts) attempts"); \
      \(options.workers) at once.


      """
  }

  /// How often each kind of fault was met, by the word in the JSON.
  static func faults(_ origin: MediaOrigin) -> [String: Int] {
    let met = origin.faultsMet
    return Dictionary(
      uniqueKeysWithValues: MediaOrigin.FaultKind.allCases.map { ($0.rawValue, met[$0] ?? 0) })
  }

  /// How often each kind of fault was met, in a person's words.
  static func titles(_ origin: MediaOrigin) -> [(title: String, count: Int)] {
    let met = origin.faultsMet
    return MediaOrigin.FaultKind.allCases.map { ($0.title, met[$0] ?? 0) }
  }
}
