internal import Foundation

/// One connection of the server: reads requests, writes answers, one after the other.
struct HTTPConnection {
  /// How the socket is to be closed.
  enum Ending { case orderly, abrupt, reset }

  let socket: Socket
  let limits: HTTPServer.Limits
  let isStopping: () -> Bool

  // What was received and not yet used: the client may send its next request with this one.
  private var received: [UInt8] = []
  /// Until when the request that is being read must be complete; `nil` before its first byte.
  private var end: ContinuousClock.Instant?
  private var isLate = false
  private let client: String

  init(socket: Socket, limits: HTTPServer.Limits, isStopping: @escaping () -> Bool) {
    self.socket = socket
    self.limits = limits
    self.isStopping = isStopping
    client = socket.peer?.client ?? "unknown"
  }

  mutating func run(_ handler: HTTPServer.Handler) -> Ending {
    socket.setTimeout(seconds: limits.idleSeconds)
    while !isStopping() {
      end = received.isEmpty ? nil : .now.advanced(by: .seconds(limits.requestSeconds))
      guard let head = readHead() else { return isLate ? refuse(408) : .abrupt }
      if head.count > limits.headBytes { return refuse(431) }
      let request: HTTPRequest
      do throws(HTTPRequest.ParseError) {
        var start = try HTTPRequest(head: head)
        start.client = client
        guard let complete = try readBody(of: start) else {
          return isLate ? refuse(408) : .abrupt
        }
        request = complete
      } catch {
        return refuse(error.status)
      }
      let keeps = request.keepsConnection
      let reply = handler(request)
      if let ending = send(reply, hasBody: request.method != "HEAD", keeps: keeps) { return ending }
      if !keeps { return .orderly }
    }
    return .abrupt
  }

  /// The bytes up to and including the empty line; more than the limit when it didn't come in time; `nil` at the end.
  private mutating func readHead() -> [UInt8]? {
    var searched = 0
    while true {
      if let end = endOfHead(from: searched) {
        defer { received.removeFirst(end) }
        return Array(received[..<end])
      }
      if received.count > limits.headBytes { return received }
      searched = max(0, received.count - 3)
      guard receive() else { return nil }
    }
  }

  private func endOfHead(from start: Int) -> Int? {
    let newline = UInt8(ascii: "\n")
    var index = start
    while index < received.count {
      if received[index] == newline {
        if index + 1 < received.count, received[index + 1] == newline { return index + 2 }
        if index + 2 < received.count, received[index + 1] == UInt8(ascii: "\r"),
          received[index + 2] == newline
        {
          return index + 3
        }
      }
      index += 1
    }
    return nil
  }

  private mutating func readBody(
    of request: HTTPRequest
  ) throws(HTTPRequest.ParseError) -> HTTPRequest? {
    let length = try request.bodyLength(atMost: limits.bodyBytes)
    guard length > 0 else { return request }
    if request.header("Expect")?.lowercased() == "100-continue" {
      guard write("HTTP/1.1 100 Continue\r\n\r\n") else { return nil }
    }
    while received.count < length {
      guard receive() else { return nil }
    }
    var request = request
    request.body = Array(received[..<length])
    received.removeFirst(length)
    return request
  }

  private mutating func receive() -> Bool {
    if let end {
      let left = ContinuousClock.now.duration(to: end)
      guard socket.waitToRead(for: min(left, .seconds(limits.idleSeconds))) else {
        isLate = true
        return false
      }
    }
    let isFirst = received.isEmpty && end == nil
    defer { if isFirst { end = .now.advanced(by: .seconds(limits.requestSeconds)) } }
    return unsafe withUnsafeTemporaryAllocation(byteCount: 16_384, alignment: 1) { buffer in
      let count = unsafe socket.receive(into: buffer)
      unsafe received.append(contentsOf: buffer[..<count])
      return count > 0
    }
  }

  private func refuse(_ status: Int) -> Ending {
    send(.text(status, "\(Self.reason(status))\n"), hasBody: true, keeps: false) ?? .orderly
  }

  private func write(_ text: String) -> Bool {
    var text = text
    return text.withUTF8 { unsafe socket.send(UnsafeRawBufferPointer($0)) }
  }

  /// Sends an answer.
  ///
  /// - Returns: How to close the connection, or `nil` when all went well.
  private func send(_ reply: HTTPReply, hasBody: Bool, keeps: Bool) -> Ending? {
    var head = "HTTP/1.1 \(reply.status) \(Self.reason(reply.status))\r\n"
    // A field's value must not be able to end the field.
    for field in reply.headers where !field.value.utf8.contains(where: { $0 == 13 || $0 == 10 }) {
      head += "\(field.name): \(field.value)\r\n"
    }
    head += "Content-Length: \(reply.body.count)\r\n"
    head += "Connection: \(keeps ? "keep-alive" : "close")\r\n\r\n"
    guard write(head) else { return .abrupt }
    return hasBody ? send(reply.body, fault: reply.fault) : nil
  }

  private func send(_ body: HTTPBody, fault: HTTPFault?) -> Ending? {
    let end: Int
    let step: Int
    switch fault {
    case .reset(let after), .stall(let after, _), .shortBody(let after):
      (end, step) = (min(after, body.count), 65_536)
    case .drip(let piece, _): (end, step) = (body.count, max(1, min(piece, 65_536)))
    case .corrupt, nil: (end, step) = (body.count, 65_536)
    }
    let sent = unsafe withUnsafeTemporaryAllocation(byteCount: step, alignment: 8) { buffer in
      var position = 0
      while position < end {
        let count = min(step, end - position)
        let piece = unsafe UnsafeMutableRawBufferPointer(rebasing: buffer[..<count])
        unsafe body.read(at: position, into: piece)
        if case .corrupt(let at) = fault, (position..<position + count) ~= at {
          unsafe piece[at - position] ^= 0xff
        }
        guard unsafe socket.send(UnsafeRawBufferPointer(piece)) else { return false }
        position += count
        if case .drip(_, let pause) = fault, !socket.wait(for: pause) { return false }
      }
      return true
    }
    guard sent else { return .abrupt }
    switch fault {
    case .reset: return .reset
    case .shortBody: return .abrupt
    case .stall(_, let duration):
      _ = socket.wait(for: duration)
      return .abrupt
    case .drip, .corrupt, nil: return nil
    }
  }

  private static func reason(_ status: Int) -> String {
    switch status {
    case 200: "OK"
    case 202: "Accepted"
    case 206: "Partial Content"
    case 301: "Moved Permanently"
    case 302: "Found"
    case 304: "Not Modified"
    case 400: "Bad Request"
    case 401: "Unauthorized"
    case 403: "Forbidden"
    case 404: "Not Found"
    case 405: "Method Not Allowed"
    case 408: "Request Timeout"
    case 409: "Conflict"
    case 413: "Content Too Large"
    case 416: "Range Not Satisfiable"
    case 421: "Misdirected Request"
    case 429: "Too Many Requests"
    case 431: "Request Header Fields Too Large"
    case 500: "Internal Server Error"
    case 501: "Not Implemented"
    case 502: "Bad Gateway"
    case 504: "Gateway Timeout"
    case 503: "Service Unavailable"
    case 505: "HTTP Version Not Supported"
    default: "Status \(status)"
    }
  }
}
