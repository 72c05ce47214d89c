internal import Reliability

/// A server that offers sound files and misbehaves on purpose, the same way every time.
///
///     let origin = try MediaOrigin(scale: .small)
///     for item in origin.items { print(origin.url(of: item), item.file.byteCount) }
///     await origin.stop()
///
/// Each chosen file goes wrong on its first request, some on the second too; after that it is served right. So a
/// client that tries again gets every byte, and one that does not can't.
public final class MediaOrigin: Sendable {
  /// A way to misbehave.
  public enum FaultKind: String, CaseIterable, Sendable {
    /// 503 with `Retry-After`.
    case unavailable = "unavailable_503"
    /// 429 with `Retry-After`.
    case tooManyRequests = "too_many_requests_429"
    /// The connection is reset in the middle of the body.
    case reset
    /// The body stops in the middle and the connection stays open.
    case stall
    /// The body trickles.
    case slowDrip = "slow_drip"
    /// The body ends before the promised length.
    case wrongLength = "wrong_length"
    /// The body has the right length and a wrong byte in it.
    case wrongContent = "wrong_content"

    /// What a person calls it.
    public var title: String {
      switch self {
      case .unavailable: "503 with Retry-After"
      case .tooManyRequests: "429 with Retry-After"
      case .reset: "connection reset"
      case .stall: "stall"
      case .slowDrip: "slow drip"
      case .wrongLength: "wrong length"
      case .wrongContent: "wrong content"
      }
    }
  }

  /// A file and what goes wrong with it.
  public struct Item: Sendable {
    /// The file.
    public let file: MediaFile
    /// The faults of its first requests, in order.
    public let faults: [FaultKind]
  }

  /// How much there is to serve.
  public enum Scale: Sendable {
    /// 64 files of 1 KB to 8 MB, 34 MB in all, every fault at least three times.
    case full
    /// 16 files of 1 KB to 256 KB, every fault once. For tests.
    case small
  }

  /// The files, in the order of their numbers.
  public let items: [Item]

  private let server: HTTPServer
  private let log: RequestLog

  /// Starts the server on a free port of the loopback interface.
  ///
  /// - Parameters:
  ///   - scale: How much there is to serve.
  ///   - seed: Decides content, sizes and which file meets which fault.
  ///   - stall: How long a stalled body stays silent.
  ///   - drip: How long a trickling body takes in all.
  /// - Throws: ``SocketError`` when no socket can be had.
  public init(
    scale: Scale = .full, seed: UInt64 = 20_250_115, stall: Duration = .seconds(60),
    drip: Duration = .seconds(8)
  ) throws(SocketError) {
    let items = Self.plan(scale, seed: seed)
    let log = RequestLog()
    let byPath = [String: Item](uniqueKeysWithValues: items.map { ("/media/\($0.file.name)", $0) })
    self.items = items
    self.log = log
    server = try HTTPServer { request in
      guard let item = byPath[request.path] else { return .text(404, "No such file.\n") }
      guard ["GET", "HEAD"].contains(request.method) else {
        return .text(405, "Only GET and HEAD.\n", headers: [HTTPField("Allow", "GET, HEAD")])
      }
      let file = item.file
      var reply = HTTPReply.file(
        file.body, type: "audio/wav", entityTag: "\"\(seed)-\(file.number)-\(file.byteCount)\"",
        for: request)
      guard request.method == "GET", let fault = log.nextFault(of: item) else { return reply }
      let middle = reply.body.count / 2
      switch fault {
      case .unavailable, .tooManyRequests:
        return .text(
          fault == .unavailable ? 503 : 429, "Later, please.\n",
          headers: [HTTPField("Retry-After", "1")])
      case .reset: reply.fault = .reset(after: middle)
      case .stall: reply.fault = .stall(after: middle, for: stall)
      case .slowDrip:
        reply.fault = .drip(piece: max(1, reply.body.count / 80), pause: drip / 80)
      case .wrongLength: reply.fault = .shortBody(after: middle)
      case .wrongContent: reply.fault = .corrupt(at: middle)
      }
      return reply
    }
  }

  /// The address of a file.
  public func url(of item: Item) -> String {
    "http://127.0.0.1:\(server.port)/media/\(item.file.name)"
  }

  /// The SHA-256 of every file by its address, as a trustworthy site would publish them.
  ///
  /// - Complexity: O(bytes of all files), on all cores.
  public func checksums() async -> [(url: String, digest: String)] {
    await withTaskGroup { group in
      for item in items {
        group.addTask { (url: self.url(of: item), digest: item.file.sha256()) }
      }
      return await group.reduce(into: []) { $0.append($1) }
    }
  }

  /// How often each kind of fault was served.
  public var faultsMet: [FaultKind: Int] { log.faultsMet }

  /// Closes every connection and returns when the last thread is gone.
  public func stop() async { await server.stop() }

  /// Which file has which size and which faults.
  static func plan(_ scale: Scale, seed: UInt64) -> [Item] {
    var chance = SeededGenerator(seed: seed)
    var sizes: [Int]
    switch scale {
    case .full:
      sizes = [8 << 20, 4 << 20, 4 << 20] + Array(repeating: 2 << 20, count: 4)
      sizes += Array(repeating: 5 << 18, count: 6) + Array(repeating: 1 << 18, count: 10)
      sizes += Array(repeating: 1 << 16, count: 14) + Array(repeating: 1 << 14, count: 13)
      sizes += Array(repeating: 1 << 11, count: 13)
    case .small:
      sizes = [1 << 18, 1 << 17, 1 << 17] + Array(repeating: 1 << 16, count: 4)
      sizes += Array(repeating: 1 << 13, count: 8)
    }
    // Neither extreme is touched, so that the smallest and the largest are what the documentation says.
    sizes = sizes.enumerated().map { index, size in
      index == 0 ? size : size - Int.random(in: 0...size / 8, using: &chance)
    }
    sizes.append(1024)
    let faults = assignFaults(to: sizes, scale, using: &chance)
    let order = sizes.indices.shuffled(using: &chance)
    return order.enumerated().map { number, index in
      Item(
        file: MediaFile(number: number + 1, byteCount: sizes[index], seed: seed),
        faults: faults[index])
    }
  }

  /// The faults of each file: those that strike in the middle of a body go to the largest files first.
  private static func assignFaults(
    to sizes: [Int], _ scale: Scale, using chance: inout SeededGenerator
  ) -> [[FaultKind]] {
    var faults = [[FaultKind]](repeating: [], count: sizes.count)
    let rounds = scale == .full ? 3 : 1
    let large = sizes.indices.sorted { sizes[$0] > sizes[$1] }
    let inBody: [FaultKind] = [.reset, .stall, .wrongLength, .slowDrip]
    for (position, kind) in Array(repeating: inBody, count: rounds).joined().enumerated() {
      faults[large[position]].append(kind)
    }
    let rest = large.dropFirst(inBody.count * rounds).shuffled(using: &chance)
    let whole: [FaultKind] = [.unavailable, .wrongContent, .tooManyRequests]
    for (position, kind) in Array(repeating: whole, count: rounds).joined().enumerated() {
      faults[rest[position]].append(kind)
    }
    // Trouble comes in twos now and then.
    if scale == .full {
      faults[rest[0]].append(.reset)
      faults[large[1]].append(.unavailable)
      faults[rest[1]].append(.wrongLength)
    }
    return faults
  }
}

/// Counts requests and faults.
private final class RequestLog: Sendable {
  private let state = Lock((requests: [Int: Int](), faults: [MediaOrigin.FaultKind: Int]()))

  var faultsMet: [MediaOrigin.FaultKind: Int] { state.withLock { $0.faults } }

  func nextFault(of item: MediaOrigin.Item) -> MediaOrigin.FaultKind? {
    state.withLock { state in
      let request = state.requests[item.file.number, default: 0]
      state.requests[item.file.number] = request + 1
      guard request < item.faults.count else { return nil }
      state.faults[item.faults[request], default: 0] += 1
      return item.faults[request]
    }
  }
}
