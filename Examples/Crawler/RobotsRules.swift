internal import Reliability

/// What a site's robots.txt allows (RFC 9309).
///
///     let rules = RobotsRules("User-agent: *\nDisallow: /private\nCrawl-delay: 2")
///     print(rules.allows("/private/x"), rules.crawlDelay ?? .zero)  // false 2.0 seconds
struct RobotsRules: Sendable {
  /// The name under which a site may address this program.
  static let agent = "swift-reliability-crawler"
  /// What of a longer file is not read (RFC 9309, section 2.5).
  static let sizeLimit = 512_000
  /// The longest pause that is kept; a site that asks for more gets this.
  static let longestDelay = Duration.seconds(60)
  private static let ruleLimit = 2_000

  private struct Rule: Sendable {
    var pattern: [UInt8]
    var allows: Bool
  }

  private var rules: [Rule] = []
  private(set) var crawlDelay: Duration?

  /// No rules: everything is allowed.
  static let none = RobotsRules("")

  init(_ text: String) {
    var groups: [(agents: [String], rules: [Rule], delay: Duration?)] = []
    var expectsAgents = true
    for line in text.split(whereSeparator: \.isNewline) {
      let line = line.prefix { $0 != "#" }
      guard let colon = line.firstIndex(of: ":") else { continue }
      let key = String(line[..<colon]).trimmed.lowercased()
      let value = String(line[line.index(after: colon)...]).trimmed
      switch key {
      case "user-agent":
        if !expectsAgents || groups.isEmpty { groups.append(([], [], nil)) }
        expectsAgents = true
        groups[groups.count - 1].agents.append(value.lowercased())
      case "allow", "disallow":
        expectsAgents = false
        guard !groups.isEmpty, !value.isEmpty, groups[groups.count - 1].rules.count < Self.ruleLimit
        else { continue }
        groups[groups.count - 1].rules.append(
          Rule(pattern: Array(value.utf8.prefix(512)), allows: key == "allow"))
      case "crawl-delay":
        expectsAgents = false
        guard !groups.isEmpty, let seconds = Double(value), seconds >= 0, seconds.isFinite else {
          continue
        }
        groups[groups.count - 1].delay = .seconds(min(seconds, 60))
      default: continue
      }
    }
    let own = groups.filter { $0.agents.contains(Self.agent) }
    for group in own.isEmpty ? groups.filter({ $0.agents.contains("*") }) : own {
      rules += group.rules
      crawlDelay = group.delay ?? crawlDelay
    }
  }

  /// Whether path and query may be fetched: the longest pattern that fits decides, and of equals the one that allows.
  func allows(_ target: String) -> Bool {
    if target == "/robots.txt" { return true }
    let target = Array(target.utf8)
    var best: (length: Int, allows: Bool) = (-1, true)
    for rule in rules where Self.fits(rule.pattern, target) {
      let length = rule.pattern.count
      if length > best.length || (length == best.length && rule.allows) {
        best = (length, rule.allows)
      }
    }
    return best.allows
  }

  /// Whether a pattern with `*` and a final `$` fits the beginning of a path.
  ///
  /// In time O(pattern × path) whatever the pattern: each star is settled at its first fit.
  private static func fits(_ pattern: [UInt8], _ path: [UInt8]) -> Bool {
    let isAnchored = pattern.last == UInt8(ascii: "$")
    let pattern = isAnchored ? pattern.dropLast() : pattern[...]
    var p = pattern.startIndex
    var s = 0
    var star: (p: Int, s: Int)?
    while true {
      if p == pattern.endIndex, !isAnchored || s == path.count { return true }
      if p < pattern.endIndex, pattern[p] == UInt8(ascii: "*") {
        star = (p + 1, s)
        p += 1
      } else if p < pattern.endIndex, s < path.count, pattern[p] == path[s] {
        p += 1
        s += 1
      } else if let last = star, last.s < path.count {
        star = (last.p, last.s + 1)
        p = last.p
        s = last.s + 1
      } else {
        return false
      }
    }
  }
}
