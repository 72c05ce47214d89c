internal import Dispatch
internal import Foundation
internal import FoundationNetworking
internal import Synchronization

/// Reads HTTP bodies piece by piece, one at a time.
///
/// A session is made once and kept, one for each worker: on Linux short-lived sessions have crashed, and a session of
/// its own lets a slow disk hold back one worker's connection without touching the others.
final class HTTPClient: NSObject, Sendable {
  private let session: URLSession
  private let relay: Relay

  override init() {
    let configuration = URLSessionConfiguration.ephemeral
    // Every limit of time is ours, so that it is classified, counted and shown.
    configuration.timeoutIntervalForRequest = 7 * 86_400
    configuration.timeoutIntervalForResource = 7 * 86_400
    configuration.requestCachePolicy = .reloadIgnoringLocalCacheData
    configuration.httpShouldSetCookies = false
    relay = Relay()
    session = URLSession(
      configuration: configuration, delegate: relay, delegateQueue: BoundedQueue())
  }

  /// Sends a GET and hands the exchange over, from which the answer is read while it arrives.
  ///
  /// The connection is given up when the body of this call ends early, by whatever way.
  ///
  /// - Parameters:
  ///   - url: An http or https address.
  ///   - headers: Further header fields.
  ///   - body: Reads the answer.
  /// - Throws: What `body` throws.
  func withExchange<Result>(
    _ url: URL, headers: [String: String] = [:], _ body: (Exchange) async throws -> Result
  ) async throws -> Result {
    var request = URLRequest(url: url)
    // A decoded body has neither the promised length nor positions to resume from.
    request.setValue("identity", forHTTPHeaderField: "Accept-Encoding")
    request.setValue("swift-reliability-downloader", forHTTPHeaderField: "User-Agent")
    for (name, value) in headers { request.setValue(value, forHTTPHeaderField: name) }
    let exchange = Exchange()
    let task = session.dataTask(with: request)
    relay.add(exchange, for: task)
    task.resume()
    defer {
      exchange.abandon()
      task.cancel()
    }
    return try await body(exchange)
  }
}

/// Hands the session's callbacks on to the exchange they belong to.
private final class Relay: NSObject, URLSessionDataDelegate, Sendable {
  private let exchanges = Mutex<[Int: Exchange]>([:])

  func add(_ exchange: Exchange, for task: URLSessionTask) {
    exchanges.withLock { $0[task.taskIdentifier] = exchange }
  }

  private func exchange(of task: URLSessionTask) -> Exchange? {
    exchanges.withLock { $0[task.taskIdentifier] }
  }

  func urlSession(
    _ session: URLSession, dataTask: URLSessionDataTask, didReceive response: URLResponse,
    completionHandler: @escaping @Sendable (URLSession.ResponseDisposition) -> Void
  ) {
    if let response = response as? HTTPURLResponse {
      exchange(of: dataTask)?.received(response)
      completionHandler(.allow)
    } else {
      completionHandler(.cancel)
    }
  }

  func urlSession(_ session: URLSession, dataTask: URLSessionDataTask, didReceive data: Data) {
    exchange(of: dataTask)?.received(data)
  }

  func urlSession(
    _ session: URLSession, task: URLSessionTask, didCompleteWithError error: (any Error)?
  ) {
    let exchange = exchanges.withLock { $0.removeValue(forKey: task.taskIdentifier) }
    exchange?.ended(error)
  }

  func urlSession(
    _ session: URLSession, task: URLSessionTask,
    willPerformHTTPRedirection response: HTTPURLResponse, newRequest request: URLRequest,
    completionHandler: @escaping @Sendable (URLRequest?) -> Void
  ) {
    let from = response.url?.scheme?.lowercased()
    let to = request.url?.scheme?.lowercased()
    // Never out of http, and never from the protected form to the plain one.
    let isAllowed = to == "https" || (to == "http" && from == "http")
    let follows = isAllowed && exchange(of: task)?.allowsRedirect() == true
    completionHandler(follows ? request : nil)
  }
}

/// The queue a session delivers on: one call at a time, and few waiting.
///
/// URLSession on Linux has no means to slow a transfer down (`suspend` starts it over), and would pile up in memory
/// what is not delivered yet. Adding to this queue waits instead, on the session's own thread, and so the connection's
/// window fills and the server waits too.
private final class BoundedQueue: OperationQueue, @unchecked Sendable {
  private let slots = DispatchSemaphore(value: 32)

  override init() {
    super.init()
    maxConcurrentOperationCount = 1
  }

  override func addOperation(_ block: @escaping @Sendable () -> Void) {
    slots.wait()
    super.addOperation { [slots] in
      block()
      slots.signal()
    }
  }
}
