/// An answer to a health probe, ready for an HTTP server: status, content type and bytes.
///
///     let document = monitor.document(for: .readiness, as: .healthJSON)
///     respond(document.httpStatus, document.contentType, document.bytes)
public struct HealthDocument: Hashable, Sendable {
  /// The status to answer with: 200 or 503.
  public let httpStatus: Int
  /// The value of `Content-Type`.
  public let contentType: String
  /// The body.
  public let bytes: [UInt8]

  /// The body as text.
  public var text: String { String(decoding: bytes, as: UTF8.self) }
}

/// The forms in which health can be had.
public enum HealthFormat: String, CaseIterable, Hashable, Sendable {
  /// `application/health+json`: "Health Check Response Format for HTTP APIs" (draft-inadarei-api-health-check-06).
  ///
  /// Knows `pass`, `warn` and `fail`. A stale component is shown as `warn` and one without an answer as `fail`, both with
  /// a member `state` that says so; `ageSeconds` is the age of every answer.
  case healthJSON
  /// The form of Spring Boot's Actuator, version 3: `UP`, `DOWN`, `OUT_OF_SERVICE` (no answer yet), `UNKNOWN` (stale).
  case actuator
  /// The form of MicroProfile Health 4: `UP` and `DOWN`.
  case microProfile

  /// The value of `Content-Type`.
  public var contentType: String {
    switch self {
    case .healthJSON: "application/health+json"
    case .actuator: "application/vnd.spring-boot.actuator.v3+json"
    case .microProfile: "application/json"
    }
  }
}

extension HealthReport {
  /// The report as the answer to a probe.
  ///
  /// The same report always gives the same bytes. At most 1 MiB; what is beyond is left out.
  ///
  /// - Parameters:
  ///   - format: The form.
  ///   - probe: What was asked.
  ///   - showsDetails: Whether components are listed. Without them the document says the status and nothing else, for callers
  ///     who should learn no more.
  /// - Complexity: O(components and alerts).
  public func rendered(
    as format: HealthFormat = .healthJSON, for probe: HealthProbe = .everything,
    showsDetails: Bool = true
  ) -> HealthDocument {
    let status = status(for: probe)
    var json = JSONWriter(limit: 1 << 20)
    json.object { json in
      switch format {
      case .healthJSON: writeHealthJSON(to: &json, status, probe, showsDetails)
      case .actuator: writeActuator(to: &json, status, probe, showsDetails)
      case .microProfile: writeMicroProfile(to: &json, status, probe, showsDetails)
      }
    }
    return HealthDocument(
      httpStatus: status.isServing ? 200 : 503, contentType: format.contentType,
      bytes: json.finish())
  }

  private func writeHealthJSON(
    to json: inout JSONWriter, _ status: HealthStatus, _ probe: HealthProbe, _ showsDetails: Bool
  ) {
    json.member("status", status.healthWord)
    guard showsDetails else { return }
    json.member("serviceId", service.id)
    json.member("version", service.version)
    json.member("releaseId", service.releaseID)
    json.member("description", service.description)
    if probe == .everything, !alerts.isEmpty {
      json.member("notes", each: alerts) { json, alert in json.string("\(alert)") }
    }
    let shown = components.filter { probe.includes($0) }
    guard !shown.isEmpty else { return }
    json.key("checks")
    json.object { json in
      for component in shown {
        json.member(component.name, each: CollectionOfOne(component)) { json, component in
          json.object { json in
            json.member("componentType", component.componentType)
            json.member("status", component.healthWord(for: probe))
            component.writeDetails(to: &json)
          }
        }
      }
    }
  }

  private func writeActuator(
    to json: inout JSONWriter, _ status: HealthStatus, _ probe: HealthProbe, _ showsDetails: Bool
  ) {
    // The whole is up or not: `UNKNOWN` would make balancers that know only these two take it out of service.
    json.member("status", status.isServing ? "UP" : status.actuatorWord)
    let shown = showsDetails ? components.filter { probe.includes($0) } : []
    guard !shown.isEmpty else { return }
    json.key("components")
    json.object { json in
      for component in shown {
        json.key(component.name)
        json.object { json in
          json.member("status", component.status.actuatorWord)
          json.key("details")
          json.object { json in component.writeDetails(to: &json) }
        }
      }
    }
  }

  private func writeMicroProfile(
    to json: inout JSONWriter, _ status: HealthStatus, _ probe: HealthProbe, _ showsDetails: Bool
  ) {
    json.member("status", status.isServing ? "UP" : "DOWN")
    // The specification demands the list, even when it is empty.
    let shown = showsDetails ? components.filter { probe.includes($0) } : []
    json.member("checks", each: shown) { json, component in
      json.object { json in
        json.member("name", component.name)
        json.member("status", probe.counted(component).isServing ? "UP" : "DOWN")
        json.key("data")
        json.object { json in component.writeDetails(to: &json) }
      }
    }
  }
}

extension HealthReport.Component {
  fileprivate func healthWord(for probe: HealthProbe) -> String {
    status == .unknown && probe.counted(self).isServing ? "warn" : status.healthWord
  }

  fileprivate func writeDetails(to json: inout JSONWriter) {
    if let observedValue {
      json.member("observedValue", observedValue)
      json.member("observedUnit", observedUnit)
    }
    if let checkedAt { json.member("time", "\(checkedAt)") }
    if let age { json.member("ageSeconds", age.wholeMilliseconds) }
    if status == .stale || status == .unknown { json.member("state", status.rawValue) }
    if let hangingFor { json.member("hangingSeconds", hangingFor.wholeMilliseconds) }
    json.member("output", output)
  }
}

extension HealthStatus {
  fileprivate var healthWord: String {
    switch self {
    case .pass: "pass"
    case .warn, .stale: "warn"
    case .unknown, .fail: "fail"
    }
  }

  fileprivate var actuatorWord: String {
    switch self {
    case .pass, .warn: "UP"
    case .stale: "UNKNOWN"
    case .unknown: "OUT_OF_SERVICE"
    case .fail: "DOWN"
    }
  }
}

extension Duration {
  /// Seconds to three digits: more says nothing about an age.
  fileprivate var wholeMilliseconds: Double { Double(nanoseconds / 1_000_000) / 1000 }
}
