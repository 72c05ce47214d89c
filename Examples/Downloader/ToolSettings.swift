internal import Reliability
internal import ReliabilityExampleSupport

/// Whether and how an external tool is used.
struct ToolSettings: Sendable {
  var command: ToolCommand
  /// What to ask the tool for, best first.
  var qualities: [MediaQuality]
  /// Whether the built-in client tries when the tool has failed.
  var fallsBack: Bool
  /// Of a hundred files, how many go to the tool.
  var percent: Int

  /// The options of the command line that belong to the tool.
  static let options: [CommandLineGrammar.Option] = [
    .value(
      "tool", "CMD",
      "download with a program: its command line with {url}, {output}, {quality} and {threads}; "
        + "off for none"),
    .value("qualities", "LIST", "what to ask the tool for, best first (720p,480p,360p,worst)"),
    .flag("fallback-builtin", "download without the tool what it has failed on"),
    .value("enhanced-percent", "N", "the share of the URLs that go to the tool, 0 to 100"),
  ]

  /// - Returns: `nil` when no tool is to be used.
  /// - Throws: `UsageError` that names the setting and says what is allowed.
  static func read(_ reader: inout SettingsReader, isEnabled: Bool) throws(UsageError) -> Self? {
    let text = try reader.text("tool", default: "off") ?? "off"
    let qualities = try Self.qualities(
      try reader.text("qualities", default: "720p,480p,360p,worst") ?? "")
    let fallsBack = reader.flag("fallback-builtin")
    let percent = try reader.integer("enhanced-percent", nil, in: 0...100, default: 100)
    guard text != "off" else { return nil }
    // Looked at also while it is switched off: a mistake shows before it matters.
    let command = try ToolCommand(text)
    guard isEnabled, percent > 0 else { return nil }
    return ToolSettings(
      command: command, qualities: command.takesQuality ? qualities : [], fallsBack: fallsBack,
      percent: percent)
  }

  private static func qualities(_ text: String) throws(UsageError) -> [MediaQuality] {
    var qualities: [MediaQuality] = []
    for name in text.split(separator: ",", omittingEmptySubsequences: false) {
      guard let quality = MediaQuality(rawValue: String(name)), !qualities.contains(quality) else {
        let known = MediaQuality.allCases.map(\.rawValue).joined(separator: ", ")
        throw UsageError(
          "--qualities must be a list of \(known), each once, not \(text.quotedForDisplay)")
      }
      qualities.append(quality)
    }
    return qualities
  }

  /// Whether a file goes to the tool: always the same answer for one address.
  func takes(_ url: String) -> Bool {
    // FNV-1a, 32 bits: what decides must be the same in every process, which hash values of Swift are not.
    var hash: UInt32 = 2_166_136_261
    for byte in url.utf8 { hash = (hash ^ UInt32(byte)) &* 16_777_619 }
    return Int(hash % 100) < percent
  }
}
