/// Takes secrets out of text before a report shows it.
///
/// It knows the shapes secrets have in error messages, command lines and dumps of headers: user info, query and fragment
/// of a URL; the values of `Authorization`, cookie and key headers; `Bearer` and `Basic` credentials; options,
/// assignments and JSON members whose name ends in `password`, `token`, `secret`, `api_key` and the like.
///
///     Redaction.standard.redact("GET https://me:pw@host/a?sig=1 failed, token=abc")
///     // GET https://<private>@host/a?<private> failed, token=<private>
///
/// It errs on the side of hiding. What it can't recognize (a password in the middle of a sentence) it can't hide: attach
/// such values to an error context, where they are private unless marked.
public struct Redaction: Hashable, Sendable {
  /// What stands where a secret stood.
  public static let mask = "<private>"

  /// The rules every report uses unless told otherwise.
  public static let standard = Redaction()

  private let endings: [[UInt8]]
  // For each last letter, the set of letters before it in any name of a secret: most words end otherwise, and are
  // passed over without being folded.
  private let pairs: [UInt32]

  private static let standardEndings: [[UInt8]] = [
    "password", "passwords", "passwd", "passphrase", "passwort", "pwd", "secret", "secrets",
    "token", "tokens", "apikey", "apikeys", "accesskey", "accesskeyid", "accountkey",
    "encryptionkey", "privatekey", "secretkey", "signingkey", "credential", "credentials",
    "authorization", "cookie", "cookies", "sessionid", "jwt",
  ].map { Array($0.utf8) }

  /// Words that are secret only as a whole name or as its last part (`DB_PASS`): many harmless words end in them.
  private static let wholeNames: [[UInt8]] = ["auth", "pass", "sig", "signature", "sid", "xauth"]
    .map { Array($0.utf8) }

  /// Makes the standard rules, with more names of secrets.
  ///
  /// - Parameter names: A value is a secret when its name ends in one of these, case, `-` and `_` ignored.
  public init(additionalNames names: [String] = []) {
    endings = Self.standardEndings + names.map { Self.folded($0.utf8) }.filter { $0.count > 1 }
    var pairs = [UInt32](repeating: 0, count: 32)
    for name in endings + Self.wholeNames {
      pairs[Int(name[name.count - 1] & 31)] |= 1 << UInt32(name[name.count - 2] & 31)
    }
    self.pairs = pairs
  }

  /// The text without its secrets.
  ///
  /// Redacting twice gives the same as redacting once.
  ///
  /// - Complexity: O(length of the text).
  public func redact(_ text: String) -> String {
    var scanner = RedactionScanner(Array(text.utf8), rules: self)
    return scanner.run() ? String(decoding: scanner.output, as: UTF8.self) : text
  }

  /// A command line without its secrets: also the argument after a `--password`-like option, and the password after
  /// `--user name:`.
  ///
  /// - Complexity: O(length of all arguments).
  public func redact(arguments: [String]) -> [String] {
    var previous = ""
    return arguments.map { argument in
      defer { previous = argument }
      if previous.hasPrefix("-"), isSecret(name: previous) { return Self.mask }
      if ["-u", "-U", "--user", "--proxy-user"].contains(previous),
        let colon = argument.firstIndex(of: ":")
      {
        return argument[...colon] + Self.mask
      }
      for option in ["--user=", "--proxy-user="] where argument.hasPrefix(option) {
        if let colon = argument.firstIndex(of: ":") { return argument[...colon] + Self.mask }
      }
      return redact(argument)
    }
  }

  /// Whether a value of this name is a secret.
  public func isSecret(name: String) -> Bool { isSecret(name: Array(name.utf8)[...]) }

  func isSecret(name: ArraySlice<UInt8>) -> Bool {
    guard let last = name.last, name.count > 1 else { return false }
    let before = name[name.endIndex - 2]
    if last & 0x40 != 0, before & 0x40 != 0, last != UInt8(ascii: "_"), before != UInt8(ascii: "_"),
      pairs[Int(last & 31)] & (1 << UInt32(before & 31)) == 0
    {
      return false
    }
    let separator = name.lastIndex { $0 == UInt8(ascii: "-") || $0 == UInt8(ascii: "_") }
    let lastPart = name[(separator.map { $0 + 1 } ?? name.startIndex)...]
    let name = Self.folded(name)
    return Self.wholeNames.contains(name) || Self.wholeNames.contains(Self.folded(lastPart))
      || endings.contains { name.count >= $0.count && name.suffix($0.count).elementsEqual($0) }
  }

  /// The value as a report shows it.
  func shown(_ value: ContextValue, name: String) -> String {
    value.isPublic && !isSecret(name: name) ? redact(value.unredacted) : Self.mask
  }

  private static func folded(_ name: some Sequence<UInt8>) -> [UInt8] {
    name.compactMap { byte in
      switch byte {
      case UInt8(ascii: "A")...UInt8(ascii: "Z"): byte | 0x20
      case UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "."): nil
      default: byte
      }
    }
  }
}
