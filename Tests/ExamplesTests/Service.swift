import Foundation
import Reliability
import ReliabilityTestSupport
import Testing

/// The built program as a server, with a client for it.
final class Service: Sendable {
  let command: Command
  let port: UInt16
  let directory: ScratchDirectory

  /// Starts `downloader serve` and waits until it listens.
  ///
  /// - Parameters:
  ///   - arguments: Beside state, output and address.
  ///   - directory: Where `state` and `files` are.
  init(_ arguments: [String] = [], in directory: ScratchDirectory = ScratchDirectory()) async throws
  {
    self.directory = directory
    let variables = ["RATE_LIMIT_PER_MINUTE=1000000", "RATE_LIMIT_BURST=1000000"]
    let given = arguments.prefix { $0.contains("=") && !$0.hasPrefix("-") }
    command = try Command(
      variables + given + [Command.path, "serve", "--listen", "127.0.0.1:0"]
        + ["--state", directory.file("state"), "--output", directory.file("files")]
        + arguments.dropFirst(given.count), program: "/usr/bin/env")
    while true {
      if let line = command.outputSoFar.split(separator: "\n").first(where: {
        $0.contains("listening on")
      }), let text = line.split(separator: ":").dropFirst(2).first?.prefix(while: \.isNumber) {
        port = try #require(UInt16(text))
        return
      }
      try #require(!command.hasEnded, "\(command.errorSoFar)")
      try await ContinuousClock().wait(for: .milliseconds(10))
    }
  }

  struct Answer: Sendable {
    var status: Int
    var head: String
    var body: String

    /// The body as an object.
    func json() throws -> [String: Any] {
      try #require(JSONSerialization.jsonObject(with: Data(body.utf8)) as? [String: Any])
    }

    /// The value of a header field.
    func field(_ name: String) -> String? {
      head.split(separator: "\r\n").first { $0.lowercased().hasPrefix(name.lowercased() + ":") }
        .map { $0.dropFirst(name.count + 1).trimmingCharacters(in: .whitespaces) }
    }
  }

  /// Sends one request on a connection of its own.
  func send(
    _ method: String, _ target: String, body: String = "", fields: [String] = []
  ) async throws -> Answer {
    let port = port
    return try await withCheckedThrowingContinuation { continuation in
      _ = BlockingThread {
        continuation.resume(
          with: Result {
            let client = try LoopbackClient(port: port)
            let lines = ["\(method) \(target) HTTP/1.1", "Host: 127.0.0.1:\(port)"] + fields
            let length = body.isEmpty ? [] : ["Content-Length: \(body.utf8.count)"]
            client.send(
              (lines + length + ["Connection: close"]).joined(separator: "\r\n") + "\r\n\r\n" + body
            )
            let reply = client.readReply()
            let status = reply.head.split(separator: " ").dropFirst().first.flatMap { Int($0) }
            return Answer(status: status ?? 0, head: reply.head, body: reply.body)
          })
      }
    }
  }

  func get(_ target: String) async throws -> Answer { try await send("GET", target) }

  /// Puts a download in and gives its job's identifier.
  func enqueue(_ url: String, _ more: String = "") async throws -> String {
    let answer = try await send("POST", "/api/v1/analysis", body: "{\"url\":\"\(url)\"\(more)}")
    try #require(answer.status == 202, "\(answer)")
    return try #require(try answer.json()["id"] as? String)
  }

  /// Waits until a job is in a state.
  func wait(for id: String, _ states: Set<String>) async throws -> [String: Any] {
    while true {
      let job = try await get("/api/v1/jobs/\(id)").json()
      if let state = job["state"] as? String, states.contains(state) { return job }
      try await ContinuousClock().wait(for: .milliseconds(20))
    }
  }

  func stop() async -> Command.Result {
    command.send(SIGTERM)
    return await command.wait()
  }
}
