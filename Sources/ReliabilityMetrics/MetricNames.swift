/// What names and labels must look like in every document, whoever made the sample.
///
/// Sources of this package check theirs when they are made. Others may hand in anything, and one bad character would
/// make a collector refuse the whole document.
///
/// Source: Prometheus, "Data model"; OpenMetrics 1.0, "Suffixes".
enum MetricNames {
  /// The sample with valid names, counters ending in `_total`, no label twice, and buckets in order.
  static func cleaned(_ sample: MetricSample) -> MetricSample {
    var result = sample
    result.name = identifier(sample.name, alsoAllowed: ":")
    if sample.kind == .counter && !result.name.hasSuffix("_total") { result.name += "_total" }
    var labels: [(name: String, value: String)] = []
    for label in sample.labels {
      var name = identifier(label.name, alsoAllowed: "_")
      // Names with two underscores and these two belong to the collector.
      if name.hasPrefix("__") || name == "le" || name == "quantile" { name = "label_" + name }
      if !labels.contains(where: { $0.name == name }) { labels.append((name, label.value)) }
    }
    result.labels = labels
    return result
  }

  /// The text with everything that names may not hold replaced by `_`.
  private static func identifier(_ text: String, alsoAllowed extra: Unicode.Scalar) -> String {
    // Nearly always there is nothing to replace.
    if isIdentifier(text.utf8, alsoAllowed: UInt8(ascii: extra)) { return text }
    var result = ""
    for scalar in text.unicodeScalars {
      let isDigit = ("0"..."9").contains(scalar)
      let isLetter = ("a"..."z").contains(scalar) || ("A"..."Z").contains(scalar)
      if result.isEmpty && isDigit { result.append("_") }
      let isAllowed = isDigit || isLetter || scalar == "_" || scalar == extra
      result.unicodeScalars.append(isAllowed ? scalar : "_")
    }
    return result.isEmpty ? "_" : result
  }

  private static func isIdentifier(_ text: String.UTF8View, alsoAllowed extra: UInt8) -> Bool {
    guard let first = text.first, !(0x30...0x39).contains(first) else { return false }
    return text.allSatisfy { byte in
      switch byte {
      case 0x61...0x7A, 0x41...0x5A, 0x30...0x39, 0x5F, extra: true
      default: false
      }
    }
  }

  /// A text that two label sets share only when they are equal, whatever the order of the labels.
  static func key(of labels: [(name: String, value: String)]) -> String {
    if labels.isEmpty { return "" }
    return labels.sorted { $0.name < $1.name }
      .map { "\($0.name)=\($0.value.utf8.count):\($0.value)" }.joined(separator: ",")
  }

  /// The name of a family in OpenMetrics, where a counter's is without `_total`.
  static func openMetricsName(of name: String, kind: MetricSample.Kind) -> String {
    kind == .counter && name.hasSuffix("_total") ? String(name.dropLast("_total".count)) : name
  }

  /// Every name that a family's lines begin with in any of the text formats.
  static func namesInDocuments(of name: String, kind: MetricSample.Kind) -> [String] {
    switch kind {
    case .counter: [name, openMetricsName(of: name, kind: kind), bare(name) + "_created"]
    case .gauge: [name]
    case .histogram: [name, "\(name)_bucket", "\(name)_count", "\(name)_sum", "\(name)_created"]
    }
  }

  private static func bare(_ name: String) -> String { openMetricsName(of: name, kind: .counter) }
}
