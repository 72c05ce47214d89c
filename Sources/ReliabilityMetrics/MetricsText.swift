/// The two text formats, which differ in little.
///
/// Source: Prometheus, "Exposition formats"; OpenMetrics 1.0, "Text format".
enum MetricsText {
  static func render(_ families: [MetricsSnapshot.Family], isOpenMetrics: Bool) -> [UInt8] {
    var text = ""
    for family in families {
      let name =
        isOpenMetrics
        ? MetricNames.openMetricsName(of: family.name, kind: family.kind) : family.name
      if !family.help.isEmpty {
        text += "# HELP \(name) \(escaped(family.help, quotes: isOpenMetrics))\n"
      }
      text += "# TYPE \(name) \(family.kind.rawValue)\n"
      for sample in family.samples { append(sample, to: &text) }
    }
    if isOpenMetrics { text += "# EOF\n" }
    return Array(text.utf8)
  }

  private static func append(_ sample: MetricSample, to text: inout String) {
    guard let distribution = sample.distribution else {
      line(sample.name, sample.labels, number(sample.value), to: &text)
      return
    }
    // Buckets may never fall from one to the next, nor exceed the count: whoever made the sample, collectors check.
    var count = 0
    for bucket in distribution.buckets.sorted(by: { $0.upperBound < $1.upperBound })
    where bucket.upperBound.isFinite {
      count = min(max(count, bucket.count), max(count, distribution.count))
      line(
        sample.name + "_bucket", sample.labels + [("le", number(bucket.upperBound))], "\(count)",
        to: &text)
    }
    let total = max(count, distribution.count)
    line(sample.name + "_bucket", sample.labels + [("le", "+Inf")], "\(total)", to: &text)
    line(sample.name + "_sum", sample.labels, number(distribution.sum), to: &text)
    line(sample.name + "_count", sample.labels, "\(total)", to: &text)
  }

  private static func line(
    _ name: String, _ labels: [(name: String, value: String)], _ value: String,
    to text: inout String
  ) {
    text += name
    if !labels.isEmpty {
      text += "{"
      for (index, label) in labels.enumerated() {
        if index > 0 { text += "," }
        text += "\(label.name)=\"\(escaped(label.value, quotes: true))\""
      }
      text += "}"
    }
    text += " \(value)\n"
  }

  /// A number as both formats spell it.
  static func number(_ value: Double) -> String {
    if value.isNaN { return "NaN" }
    if value.isInfinite { return value < 0 ? "-Inf" : "+Inf" }
    return value.description
  }

  private static func escaped(_ text: String, quotes: Bool) -> String {
    // A backslash, the end of a line, a quotation mark: none of them in nearly every text.
    guard text.utf8.contains(where: { $0 == 0x5C || $0 == 0x0A || $0 == 0x22 }) else { return text }
    var result = ""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\\": result += "\\\\"
      case "\n": result += "\\n"
      case "\"" where quotes: result += "\\\""
      default: result.unicodeScalars.append(scalar)
      }
    }
    return result
  }
}
