internal import Foundation
internal import Reliability
internal import ReliabilityExampleSupport

// What is printed, for people or as JSON.

extension StateCommand {
  private func json(_ value: some Encodable) throws -> String {
    let encoder = ServeRoutes.encoder
    encoder.outputFormatting.insert(.prettyPrinted)
    return String(decoding: try encoder.encode(value), as: UTF8.self) + "\n"
  }

  private func safe(_ text: String) -> String {
    String(text.quotedForDisplay.dropFirst().dropLast())
  }

  func shown(_ status: ServeStatus) throws -> String {
    if isJSON { return try json(status) }
    var lines = [
      "active \(status.active), waiting \(status.queued), dead letters \(status.deadLetters)"
    ]
    lines += status.breakers.map {
      "breaker \(safe($0.server)) \($0.state): \(safe($0.explanation))"
    }
    if status.breakers.isEmpty { lines.append("no breaker is open") }
    lines += status.stuckJobs.map { job in
      let error = job.failures.last.map { ": \(safe($0.error))" } ?? ""
      return "job \(job.id) \(job.state), attempt \(job.attempts) of \(job.maxAttempts)\(error)"
    }
    if status.stuckJobs.isEmpty { lines.append("no job is stuck") }
    return lines.joined(separator: "\n") + "\n"
  }

  func shown(_ letters: [LetterSummary]) throws -> String {
    if isJSON { return try json(letters) }
    if letters.isEmpty { return "no dead letters\n" }
    return letters.map { line($0) + "\n" }.joined()
  }

  private func line(_ letter: LetterSummary) -> String {
    "\(letter.id)  \(letter.arrivedAt)  \(letter.kind)  \(letter.category)  "
      + "\(letter.attempts) attempts  \(safe(letter.url ?? ""))  \(safe(letter.reason))"
  }

  func shown(_ detail: LetterDetail) throws -> String {
    if isJSON { return try json(detail) }
    return line(detail.letter) + "\n\n" + detail.report.text() + "\n"
  }

  func shown(_ redrive: LetterRedrive) throws -> String {
    if isJSON { return try json(redrive) }
    if redrive.isDryRun {
      return "\(redrive.requeued) would be put into the queue again, "
        + "\(redrive.undecodable) can't be read\n"
    }
    return "\(redrive.requeued) of \(redrive.selected) put into the queue again, "
      + "\(redrive.failed) failed, \(redrive.undecodable) can't be read\n"
  }

  func shown(discarded letter: LetterSummary) throws -> String {
    if isJSON { return try json(letter) }
    return "discarded \(line(letter))\n"
  }
}

/// Asks a running `serve`.
struct ServeClient {
  private let address: HTTPAddress
  private let token: String?

  init(_ listen: String, tokenFile: String?) throws {
    // Whoever listens on all addresses can be reached on this machine's own.
    let host = listen.replacing("0.0.0.0:", with: "127.0.0.1:").replacing("[::]:", with: "[::1]:")
    guard let url = URL(string: "http://\(host)/") else {
      throw ServeProblem(500, "owner.json names no address")
    }
    address = try HTTPAddress(url)
    token = tokenFile.flatMap { FileManager.default.contents(atPath: $0) }
      .map { String(decoding: $0, as: UTF8.self).trimmingCharacters(in: .whitespacesAndNewlines) }
  }

  func get<Value: Decodable & Sendable>(_ target: String, as type: Value.Type) async throws -> Value
  {
    try await send("GET", target, as: type)
  }

  func send<Value: Decodable & Sendable>(
    _ method: String, _ target: String, as type: Value.Type
  ) async throws -> Value {
    var fields = [HTTPField("Accept", "application/json")]
    if method != "GET" { fields.append(HTTPField("Content-Length", "0")) }
    if let token { fields.append(HTTPField("Authorization", "Bearer \(token)")) }
    let fetch = try await HTTPFetch.prepared(
      method: method, host: address.host, port: address.port, target: target, headers: fields,
      policy: .any, silence: .seconds(60))
    let (status, body) = try await BlockingThreads.shared.run {
      let answer = try fetch.open()
      defer { answer.finish() }
      var body: [UInt8] = []
      while unsafe try answer.read({ unsafe body.append(contentsOf: $0) }) {}
      return (answer.head.status, body)
    }
    guard (200..<300).contains(status) else {
      let report = try? JSONDecoder().decode(ErrorReport.self, from: Data(body))
      throw ServeProblem(status, report?.errorMessage ?? "serve answered \(status)")
    }
    return try JSONDecoder().decode(type, from: Data(body))
  }
}
