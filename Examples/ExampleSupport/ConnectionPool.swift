import Reliability

/// Connections that are open and have nothing to do, for the next request to the same server.
///
/// A server may close one at any time. That is looked at before it is lent, and a request on one that was closed in
/// the meantime is sent again on a new one.
public final class ConnectionPool: Sendable {
  /// The pool of the process.
  public static let shared = ConnectionPool()

  struct Key: Hashable {
    var host: String
    var port: UInt16
    /// A connection that was made without a check must not serve those who asked for one.
    var policy: AddressPolicy
  }

  private struct Idle {
    var socket: Socket
    var since: ContinuousClock.Instant
  }

  private let idle = Lock<[Key: [Idle]]>([:])
  private let perServer: Int
  private let longest = Duration.seconds(15)

  /// Makes an empty pool.
  ///
  /// - Parameter perServer: How many connections are kept for one server.
  public init(perServer: Int = 64) { self.perServer = perServer }

  deinit { close() }

  /// An open connection, the one used last first, or `nil`.
  func take(_ key: Key, at now: ContinuousClock.Instant = .now) -> Socket? {
    while let found = idle.withLock({ $0[key]?.popLast() }) {
      if now - found.since < longest, found.socket.isSilent { return found.socket }
      found.socket.close()
    }
    return nil
  }

  /// Takes a connection back that has nothing more to read.
  func give(_ socket: Socket, _ key: Key, at now: ContinuousClock.Instant = .now) {
    let old = idle.withLock { idle -> [Socket] in
      idle[key, default: []].append(Idle(socket: socket, since: now))
      var gone: [Socket] = []
      // Of all servers: the others may never be asked again. The oldest are at the front.
      for (place, list) in idle {
        let fresh = list.drop { now - $0.since >= longest }.suffix(perServer)
        if fresh.count == list.count { continue }
        gone += list.prefix(list.count - fresh.count).map(\.socket)
        idle[place] = fresh.isEmpty ? nil : Array(fresh)
      }
      guard idle.count > 256, let other = idle.keys.first(where: { $0 != key }) else { return gone }
      return gone + (idle.removeValue(forKey: other) ?? []).map(\.socket)
    }
    for socket in old { socket.close() }
  }

  /// How many connections are kept.
  var count: Int { idle.withLock { $0.values.reduce(0) { $0 + $1.count } } }

  /// Closes all.
  public func close() {
    let all = idle.withLock { idle in
      defer { idle = [:] }
      return idle.values.joined().map(\.socket)
    }
    for socket in all { socket.close() }
  }
}
