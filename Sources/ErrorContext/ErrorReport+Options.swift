extension ErrorReport {
  /// How reports are made: names, rules, and where time and chance come from.
  ///
  ///     var options = ErrorReport.Options()
  ///     options.referencePrefix = "CRAWL"
  ///     options.typeBase = "https://example.org/problems/"
  ///     let report = ErrorReport(error, options: options)
  public struct Options: Sendable {
    /// The beginning of every reference: ASCII letters and digits, 16 at most.
    ///
    /// `DL` by default.
    public var referencePrefix = "DL"

    /// What the category is appended to, to make the `type` URI of the problem.
    ///
    /// By default a URN, which needs no server; set the address of your documentation to make it a link.
    public var typeBase = "urn:reliability:error:"

    /// What is taken out of every text.
    public var redaction = Redaction.standard

    /// Who says what kind of trouble an error is; `nil` asks ``ErrorClassifier/default``.
    public var classifier: ErrorClassifier?

    /// The wall clock; `nil` takes the system's.
    public var wallTime: (@Sendable () -> WallTime)?

    /// Where the random digits of a report's names come from.
    public var randomness = RandomSource.system

    /// The default options.
    public init() {}

    func now() -> WallTime { wallTime?() ?? .now }

    func typeURI(for category: ErrorCategory) -> String {
      var uri = ReportText.printable(typeBase, limit: 256)
      for byte in category.rawValue.utf8 {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
          UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."),
          UInt8(ascii: "_"), UInt8(ascii: "~"):
          uri.unicodeScalars.append(Unicode.Scalar(byte))
        default:
          uri += "%" + byte.hexadecimal(digits: 2).uppercased()
        }
      }
      return uri
    }
  }
}
