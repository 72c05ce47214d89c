/// What names a metric and tells it from others of the same name; checked once, when the metric is made.
struct MetricIdentity: Sendable {
  var name: String
  var help: String
  var labels: [(name: String, value: String)]

  /// Traps when the name or a label breaks a rule of the Prometheus data model.
  init(
    _ name: String, help: String, labels: [(name: String, value: String)], isCounter: Bool = false
  ) {
    (self.name, self.help, self.labels) = (name, help, labels)
    requireValid { () throws(ConfigurationError) in try validate(isCounter: isCounter) }
  }

  /// Source of the rules: Prometheus, "Data model" and "Metric and label naming".
  func validate(isCounter: Bool) throws(ConfigurationError) {
    try check(
      Self.isIdentifier(name, alsoAllowed: ":"), "name \"\(name)\"",
      "must consist of letters, digits, _ and :, and must not begin with a digit")
    try check(
      name.hasSuffix("_total") == isCounter, "name \"\(name)\"",
      isCounter ? "must end in _total, as counters do" : "must not end in _total, as counters do")
    for (index, label) in labels.enumerated() {
      try check(
        Self.isIdentifier(label.name) && !label.name.hasPrefix("__"),
        "label \"\(label.name)\" of \(name)",
        "must consist of letters, digits and _, and must not begin with a digit or __")
      try check(
        label.name != "le" && label.name != "quantile", "label \"\(label.name)\" of \(name)",
        "must not be le or quantile, which belong to the text format")
      try check(
        !labels[..<index].contains { $0.name == label.name }, "label \"\(label.name)\" of \(name)",
        "must not occur twice")
    }
  }

  private static func isIdentifier(_ text: String, alsoAllowed extra: Unicode.Scalar = "_") -> Bool
  {
    guard let first = text.unicodeScalars.first, !("0"..."9").contains(first) else { return false }
    return text.unicodeScalars.allSatisfy { scalar in
      ("a"..."z").contains(scalar) || ("A"..."Z").contains(scalar) || ("0"..."9").contains(scalar)
        || scalar == "_" || scalar == extra
    }
  }
}
