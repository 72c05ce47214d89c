import ReliabilityTestSupport
import Testing

@testable import ReliabilityExampleSupport

/// Connections that nobody uses: real sockets, whose age the tests decide.
@Suite(.realTime, .timeLimit(.minutes(10))) struct RealTimeConnectionPoolTests {
  private typealias Key = ConnectionPool.Key

  /// A connection and its other end.
  private func connection(to listener: Socket) throws -> (Socket, other: Socket) {
    let address = try #require(SocketAddress.literal(host: "127.0.0.1", port: listener.port))
    let socket = try Socket.open(for: address)
    try socket.connect(to: address)
    return (socket, try #require(listener.accept()))
  }

  private func key(_ host: String, _ policy: AddressPolicy = .any) -> Key {
    Key(host: host, port: 80, policy: policy)
  }

  @Test func aConnectionOfOneServerSweepsTheOldOnesOfAll() throws {
    let listener = try Socket.listen(port: 0)
    defer { listener.close() }
    let pool = ConnectionPool()
    let start = ContinuousClock.now
    var others: [Socket] = []
    for host in ["a", "b", "c"] {
      let (socket, other) = try connection(to: listener)
      pool.give(socket, key(host), at: start)
      others.append(other)
    }
    let (fresh, other) = try connection(to: listener)
    #expect(pool.count == 3)
    pool.give(fresh, key("d"), at: start + .seconds(15))
    #expect(pool.count == 1, "only the new one is young")
    // The others are closed: their other ends read the end.
    for other in others {
      let count = unsafe withUnsafeTemporaryAllocation(byteCount: 1, alignment: 1) {
        unsafe other.receive(into: $0)
      }
      #expect(count == 0)
      other.close()
    }
    #expect(pool.take(key("d"), at: start + .seconds(29))?.descriptor == fresh.descriptor)
    fresh.close()
    other.close()
  }

  @Test func whatIsTooOldOrClosedIsNotLent() throws {
    let listener = try Socket.listen(port: 0)
    defer { listener.close() }
    let pool = ConnectionPool()
    let start = ContinuousClock.now
    let (old, first) = try connection(to: listener)
    pool.give(old, key("a"), at: start)
    #expect(pool.take(key("a"), at: start + .seconds(15)) == nil)
    let (closed, second) = try connection(to: listener)
    second.close()
    // The end has to arrive.
    #expect(closed.waitToRead(for: .seconds(300)))
    pool.give(closed, key("a"), at: start)
    #expect(pool.take(key("a"), at: start) == nil)
    #expect(pool.count == 0)
    first.close()
  }

  @Test func onlySoManyAreKeptOfOneServer() throws {
    let listener = try Socket.listen(port: 0)
    defer { listener.close() }
    let pool = ConnectionPool(perServer: 2)
    var others: [Socket] = []
    for _ in 0..<5 {
      let (socket, other) = try connection(to: listener)
      pool.give(socket, key("a"))
      others.append(other)
    }
    #expect(pool.count == 2)
    pool.close()
    #expect(pool.count == 0)
    for other in others { other.close() }
  }

  @Test func whatWasConnectedToWithoutACheckServesNobodyWhoAskedForOne() throws {
    let listener = try Socket.listen(port: 0)
    defer { listener.close() }
    let pool = ConnectionPool()
    let (socket, other) = try connection(to: listener)
    pool.give(socket, key("a", .any))
    #expect(pool.take(key("a", .publicOnly)) == nil)
    #expect(pool.take(key("a", .any)) != nil)
    socket.close()
    other.close()
  }
}
