internal import Dispatch
internal import Foundation
internal import Reliability
internal import ReliabilityExampleSupport

/// What `serve` answers to whom.
struct ServeRoutes: Sendable {
  let service: DownloadService

  /// Answers a request on the thread of its connection, which waits for the queue here.
  func answer(_ request: HTTPRequest) -> HTTPReply {
    if let reply = answerAtOnce(request) { return reply }
    let box = Lock<HTTPReply?>(nil)
    let isDone = DispatchSemaphore(value: 0)
    Task {
      let reply = await reply(to: request)
      box.withLock { $0 = reply }
      isDone.signal()
    }
    isDone.wait()
    return box.withLock { $0 } ?? HTTPReply(status: 500)
  }

  /// Answers what needs nobody else: probes and collectors must not wait behind downloads for a thread of the pool.
  private func answerAtOnce(_ request: HTTPRequest) -> HTTPReply? {
    let method = request.method == "HEAD" ? "GET" : request.method
    do {
      switch request.path {
      case "/":
        try service.gate.admit(request)
        try allow("GET", method)
        return Self.finished(ServePage.reply)
      case "/metrics":
        try service.gate.admit(request)
        try allow("GET", method)
        return Self.finished(try metrics(request))
      case "/health", "/health/live", "/health/ready":
        try service.gate.admit(request)
        try allow("GET", method)
        return Self.finished(service.health.reply(to: request))
      default: return nil
      }
    } catch {
      return ServeProblem.reply(to: error)
    }
  }

  private func reply(to request: HTTPRequest) async -> HTTPReply {
    do {
      try service.gate.admit(request)
      return Self.finished(try await route(request))
    } catch {
      return ServeProblem.reply(to: error)
    }
  }

  private static func finished(_ reply: HTTPReply) -> HTTPReply {
    var reply = reply
    reply.headers += [
      HTTPField("Cache-Control", "no-store"), HTTPField("X-Content-Type-Options", "nosniff"),
    ]
    return reply
  }

  private func route(_ request: HTTPRequest) async throws -> HTTPReply {
    let method = request.method == "HEAD" ? "GET" : request.method
    switch request.path {
    case "/api/v1/analysis":
      try allow("POST", method)
      return try await enqueue(request)
    case "/api/v1/analyze":
      try allow("POST", method)
      var reply = try await enqueue(request)
      // The old name (RFC 9745, RFC 8288).
      reply.headers += [
        HTTPField("Deprecation", "@1735689600"),
        HTTPField("Link", "</api/v1/analysis>; rel=\"successor-version\""),
      ]
      return reply
    case "/api/v1/info":
      try allow("GET", method)
      return try await info(request)
    case "/api/v1/status":
      try allow("GET", method)
      return try Self.json(200, try await service.status())
    case "/api/v1/dead-letters":
      try allow("GET", method)
      return try Self.json(200, try await service.letters.list(try LetterQuery(request)))
    case "/api/v1/dead-letters/redrive":
      try allow("POST", method)
      return try Self.json(200, try await service.letters.redrive(try LetterQuery(request)))
    default: return try await routeByName(request, method)
    }
  }

  /// Addresses that end in the name of something.
  private func routeByName(_ request: HTTPRequest, _ method: String) async throws -> HTTPReply {
    func name(after prefix: String) -> String? {
      let rest = request.path.dropFirst(prefix.count)
      return request.path.hasPrefix(prefix) && !rest.contains("/") ? String(rest) : nil
    }
    if let name = name(after: "/api/metrics/") {
      try allow("GET", method)
      return try await figures(name, request)
    }
    if let id = name(after: "/api/v1/jobs/") {
      try allow("GET", "DELETE", method)
      return try await job(id, isCancelled: method == "DELETE")
    }
    if let id = name(after: "/api/v1/dead-letters/") {
      try allow("GET", "DELETE", method)
      return try await letter(id, request, isDiscarded: method == "DELETE")
    }
    throw ServeProblem.notFound(request.path.quotedForDisplay)
  }

  private func allow(_ methods: String...) throws(ServeProblem) {
    let (asked, allowed) = (methods.last ?? "", methods.dropLast())
    if allowed.contains(asked) { return }
    var problem = ServeProblem(405, "\(asked.quotedForDisplay) is not allowed here")
    problem.headers = [HTTPField("Allow", allowed.joined(separator: ", "))]
    throw problem
  }

  // MARK: Jobs

  /// The body of a request for a download.
  private struct Submission: Decodable {
    var url: String
    var priority: String?
    var taskID: String?

    private enum CodingKeys: String, CodingKey {
      case url, priority, taskID = "task_id"
    }
  }

  private func enqueue(_ request: HTTPRequest) async throws -> HTTPReply {
    let submission: Submission
    do {
      submission = try JSONDecoder().decode(Submission.self, from: Data(request.body))
    } catch {
      throw ServeProblem(400, Self.explain(error))
    }
    var priority = JobPriority.normal
    if let word = submission.priority {
      guard let known = JobPriority.allCases.first(where: { "\($0)" == word }) else {
        throw ServeProblem(
          400,
          "priority must be lowest, low, normal, high or critical, not "
            + word.quotedForDisplay)
      }
      priority = known
    }
    if let id = submission.taskID, id.isEmpty || id.utf8.count > 256 {
      throw ServeProblem(400, "task_id must have 1 to 256 bytes")
    }
    let id = try await service.enqueue(
      url: submission.url, priority: priority, taskID: submission.taskID)
    guard let job = try await service.job(id) else { throw ServeProblem.notFound("job \(id)") }
    var reply = try Self.json(202, job)
    reply.headers.append(HTTPField("Location", "/api/v1/jobs/\(id)"))
    return reply
  }

  private static func explain(_ error: any Error) -> String {
    switch error {
    case DecodingError.keyNotFound(let key, _): "\(key.stringValue) is missing"
    case DecodingError.typeMismatch(_, let context), DecodingError.valueNotFound(_, let context):
      "\(context.codingPath.last?.stringValue ?? "the body") has the wrong type"
    default: "the body is not a JSON object"
    }
  }

  private func job(_ text: String, isCancelled: Bool) async throws -> HTTPReply {
    guard let number = UInt64(text), number > 0 else {
      throw ServeProblem.notFound("job \(text.quotedForDisplay)")
    }
    let id = JobID(rawValue: number)
    guard let before = try await service.job(id) else { throw ServeProblem.notFound("job \(id)") }
    guard isCancelled else { return try Self.json(200, before) }
    guard try await service.downloads.queue.cancel(id, reason: "cancelled over HTTP"),
      let after = try await service.job(id)
    else { throw ServeProblem(409, "job \(id) has ended: it is \(before.state)") }
    return try Self.json(200, after)
  }

  private func letter(
    _ text: String, _ request: HTTPRequest, isDiscarded: Bool
  ) async throws -> HTTPReply {
    guard let id = DeadLetter.ID(text) else {
      throw ServeProblem.notFound("dead letter \(text.quotedForDisplay)")
    }
    if isDiscarded {
      guard let reason = request.parameter("reason"), !reason.isEmpty else {
        throw ServeProblem(400, "reason is missing")
      }
      return try Self.json(200, try await service.letters.discard(id, reason: reason))
    }
    return try Self.json(200, try await service.letters.show(id))
  }

  private func info(_ request: HTTPRequest) async throws -> HTTPReply {
    guard let url = request.parameter("url") else { throw ServeProblem(400, "url is missing") }
    return try Self.json(200, try await service.infos.info(of: try DownloadPlan.item(url)))
  }

  // MARK: Figures

  private func metrics(_ request: HTTPRequest) throws -> HTTPReply {
    guard service.options.settings.enablesMetrics else {
      throw ServeProblem.notFound("such page: ENABLE_METRICS is false")
    }
    let format = MetricsFormat.negotiated(accept: request.header("Accept"))
    let document = service.registry.snapshot().rendered(as: format)
    return HTTPReply(
      status: 200, headers: [HTTPField("Content-Type", document.contentType)],
      body: .bytes(document.bytes))
  }

  private func figures(_ name: String, _ request: HTTPRequest) async throws -> HTTPReply {
    let figures = try await service.figures()
    switch name {
    case "queue": return try Self.json(200, figures.queue)
    case "worker": return try Self.json(200, figures.worker)
    case "jobs": return try Self.json(200, figures.jobs)
    case "system": return try Self.json(200, figures.system)
    case "performance":
      let text = request.parameter("time_window") ?? "3600"
      guard let seconds = Int(text), (1...86_400).contains(seconds) else {
        throw ServeProblem(
          400,
          "time_window must be a whole number of seconds from 1 to 86400, not "
            + text.quotedForDisplay)
      }
      return try Self.json(
        200,
        figures.performance(
          service.performance.stretch(seconds: seconds),
          lastError: service.downloads.worker.tracker.counts.lastError))
    default: throw ServeProblem.notFound(request.path.quotedForDisplay)
    }
  }

  static func json(_ status: Int, _ value: some Encodable) throws -> HTTPReply {
    HTTPReply(
      status: status, headers: [HTTPField("Content-Type", "application/json")],
      body: .bytes(Array(try encoder.encode(value))))
  }

  /// Members in the style of the forms.
  static var encoder: JSONEncoder {
    let encoder = JSONEncoder()
    encoder.keyEncodingStrategy = .convertToSnakeCase
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    return encoder
  }
}
