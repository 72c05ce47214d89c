internal import Foundation
import Reliability

/// Looks hosts up, remembers the answers for a minute, and leaves out what may not be connected to.
///
/// The system's resolver blocks, for half a minute when a name server is silent, and can't be cancelled: it is asked on
/// a thread of its own, and whoever is cancelled meanwhile leaves it there.
public final class AddressBook: Sendable {
  /// The book of the process.
  public static let shared = AddressBook()

  private struct Entry {
    var addresses: [SocketAddress]
    var end: ContinuousClock.Instant
  }

  private let entries = Lock<[String: Entry]>([:])
  private let known: [String: [String]]
  private static let capacity = 10_000

  /// Makes an empty book.
  ///
  /// - Parameter known: Hosts that nobody is asked about, and that may be connected to whatever the policy: what a test
  ///   has instead of a server on the Internet.
  public init(known: [String: [String]] = [:]) { self.known = known }

  /// Why a host can't be connected to.
  public enum Failure: Error, Hashable, CustomStringConvertible {
    /// It has no address.
    case unknownHost(String)
    /// All of its addresses are loopback, private or otherwise reserved.
    case refused(host: String)

    /// One line.
    public var description: String {
      switch self {
      case .unknownHost(let reason): reason
      case .refused(let host):
        "\(host.quotedForDisplay) is at a loopback, private or reserved address"
      }
    }
  }

  /// Whether a host written as an address may be connected to; `nil` for a name.
  ///
  /// Decimal, octal and hexadecimal forms are addresses too. Never blocks.
  public static func verdict(on host: String, _ policy: AddressPolicy) -> Bool? {
    guard let literal = SocketAddress.literal(host: host, port: 1) else { return nil }
    return policy.allows(literal)
  }

  /// The addresses of a host that may be connected to.
  ///
  /// - Throws: ``Failure``, or `CancellationError`.
  public func check(_ host: String, _ policy: AddressPolicy) async throws {
    _ = try await addresses(host: host, port: 1, policy)
  }

  func addresses(
    host: String, port: UInt16, _ policy: AddressPolicy
  ) async throws -> [SocketAddress] {
    if let known = known[host] {
      return known.compactMap { SocketAddress.literal(host: $0, port: port) }
    }
    let all: [SocketAddress]
    if let literal = SocketAddress.literal(host: host, port: port) {
      all = [literal]
    } else {
      all = try await lookUp(host).map { $0.with(port: port) }
    }
    let allowed = all.filter(policy.allows)
    if allowed.isEmpty { throw Failure.refused(host: host) }
    return allowed
  }

  private func lookUp(_ host: String) async throws -> [SocketAddress] {
    let now = ContinuousClock.now
    if let entry = entries.withLock({ $0[host] }), entry.end > now { return entry.addresses }
    let addresses = try await Question(host).answer()
    entries.withLock { entries in
      if entries.count >= Self.capacity { entries.removeAll() }
      entries[host] = Entry(addresses: addresses, end: now.advanced(by: .seconds(60)))
    }
    return addresses
  }
}

/// One question to the resolver, which may be left alone.
private final class Question: Sendable {
  private typealias Waiter = CheckedContinuation<[SocketAddress], any Error>
  private enum State {
    case initial
    case waiting(Waiter)
    case over
  }

  private let host: String
  private let state = Lock(State.initial)

  init(_ host: String) { self.host = host }

  func answer() async throws -> [SocketAddress] {
    try Task.checkCancellation()
    return try await withTaskCancellationHandler {
      try await withCheckedThrowingContinuation { (continuation: Waiter) in
        let isOver = state.withLock { state in
          if case .over = state { return true }
          state = .waiting(continuation)
          return false
        }
        if isOver { return continuation.resume(throwing: CancellationError()) }
        BlockingThreads.shared.start { self.ask() }
      }
    } onCancel: {
      finish(.failure(CancellationError()))
    }
  }

  private func ask() {
    do throws(HTTPFetch.Failure) {
      finish(.success(try SocketAddress.all(host: host, port: 0)))
    } catch {
      finish(.failure(AddressBook.Failure.unknownHost("\(error)")))
    }
  }

  private func finish(_ result: Result<[SocketAddress], any Error>) {
    let waiter = state.withLock { state -> Waiter? in
      defer { state = .over }
      if case .waiting(let waiter) = state { return waiter }
      return nil
    }
    waiter?.resume(with: result)
  }
}

extension AddressBook {
  /// Whether a host is written as an address of this machine alone.
  public static func isLoopback(_ host: String) -> Bool {
    SocketAddress.literal(host: host, port: 1)?.isLoopback == true
  }
}
