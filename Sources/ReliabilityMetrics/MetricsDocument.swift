/// Figures in a form that a collector or a person reads: content type and bytes, ready for an HTTP answer.
public struct MetricsDocument: Hashable, Sendable {
  /// The value of `Content-Type`, exactly as the collectors want it.
  public let contentType: String
  /// The body.
  public let bytes: [UInt8]

  /// The body as text.
  public var text: String { String(decoding: bytes, as: UTF8.self) }
}

/// The forms in which figures can be had.
///
///     let format = MetricsFormat.negotiated(accept: request.header("Accept"))
///     let document = registry.snapshot().rendered(as: format)
public enum MetricsFormat: Hashable, Sendable, CaseIterable {
  /// Prometheus' text format 0.0.4.
  case prometheus
  /// OpenMetrics 1.0 text.
  case openMetrics
  /// A JSON document for programs of one's own.
  case json

  /// The value of `Content-Type`.
  public var contentType: String {
    switch self {
    case .prometheus: "text/plain; version=0.0.4; charset=utf-8"
    case .openMetrics: "application/openmetrics-text; version=1.0.0; charset=utf-8"
    case .json: "application/json"
    }
  }

  /// The form that a request asks for.
  ///
  /// The one with the highest `q` wins, and of equal ones the first named. A wildcard, an absent or unreadable header and
  /// types not known here mean ``prometheus``: a collector ends its list in `*/*`, and must not be given JSON for it.
  ///
  /// - Parameter accept: The value of the request's `Accept`.
  public static func negotiated(accept: String?) -> MetricsFormat {
    var best: (format: MetricsFormat, quality: Double)?
    for range in (accept ?? "").split(separator: ",") {
      let parts = range.split(separator: ";").map { part in
        part.filter { $0 != " " && $0 != "\t" }.lowercased()
      }
      let format: MetricsFormat? =
        switch parts.first ?? "" {
        case "application/openmetrics-text":
          parts.contains { $0.hasPrefix("version=") && !$0.hasPrefix("version=1.0") }
            ? nil : .openMetrics
        case "application/json": .json
        case "text/plain", "text/*", "*/*": .prometheus
        default: nil
        }
      guard let format else { continue }
      let quality =
        parts.first { $0.hasPrefix("q=") }.flatMap { Double($0.dropFirst(2)) } ?? 1
      if quality > best?.quality ?? 0 { best = (format, quality) }
    }
    return best?.format ?? .prometheus
  }
}

extension MetricsSnapshot {
  /// The figures in one of the forms.
  ///
  /// - Complexity: O(samples and buckets).
  public func rendered(as format: MetricsFormat) -> MetricsDocument {
    let bytes =
      switch format {
      case .prometheus: MetricsText.render(families, isOpenMetrics: false)
      case .openMetrics: MetricsText.render(families, isOpenMetrics: true)
      case .json: MetricsJSON.render(families)
      }
    return MetricsDocument(contentType: format.contentType, bytes: bytes)
  }
}
