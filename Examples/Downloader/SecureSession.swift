internal import Dispatch
internal import Foundation
internal import FoundationNetworking
import Reliability
internal import ReliabilityExampleSupport

/// The URLSession behind https.
///
/// One for the life of the process: on Linux short-lived sessions have crashed.
final class SecureSession: Sendable {
  /// The session; made when first needed.
  static let shared = SecureSession()

  private let session: URLSession
  private let relay = Relay()
  // URLSession waits for its own thread inside nearly every call, and that thread waits for a slow reader. So it is
  // called from here only: never from the cooperative pool, whose threads the reader needs.
  private let calls = DispatchQueue(label: "downloader.session")

  private init() {
    let configuration = URLSessionConfiguration.ephemeral
    // Every limit of time is ours, so that it is classified, counted and shown.
    configuration.timeoutIntervalForRequest = 7 * 86_400
    configuration.timeoutIntervalForResource = 7 * 86_400
    configuration.requestCachePolicy = .reloadIgnoringLocalCacheData
    configuration.httpShouldSetCookies = false
    session = URLSession(
      configuration: configuration, delegate: relay, delegateQueue: BoundedQueue())
  }

  /// Sends a GET.
  func start(
    _ url: URL, _ fields: [HTTPField], _ exchange: Exchange, _ transfer: Transfer
  ) {
    var request = URLRequest(url: url)
    for field in fields { request.setValue(field.value, forHTTPHeaderField: field.name) }
    calls.async { [self, request] in
      let task = session.dataTask(with: request)
      relay.add(exchange, for: task)
      if transfer.begin({ [calls] in calls.async { task.cancel() } }) {
        task.resume()
      } else {
        task.cancel()
      }
    }
  }
}

/// Hands the session's callbacks on to the exchange they belong to.
private final class Relay: NSObject, URLSessionDataDelegate, Sendable {
  private let exchanges = Lock<[Int: Exchange]>([:])

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
    guard let response = response as? HTTPURLResponse else { return completionHandler(.cancel) }
    let fields = response.allHeaderFields.map { HTTPField("\($0.key)", "\($0.value)") }
    exchange(of: dataTask)?.received(
      HTTPResponseHead(status: response.statusCode, headers: fields))
    completionHandler(.allow)
  }

  func urlSession(_ session: URLSession, dataTask: URLSessionDataTask, didReceive data: Data) {
    let exchange = exchange(of: dataTask)
    unsafe data.withUnsafeBytes { unsafe exchange?.received($0) }
  }

  func urlSession(
    _ session: URLSession, task: URLSessionTask, didCompleteWithError error: (any Error)?
  ) {
    let exchange = exchanges.withLock { $0.removeValue(forKey: task.taskIdentifier) }
    // URLSession on Linux has no name for a body that ends too early.
    let isNameless = error.map { ErrorClassifier.foundation.classify($0) == .unknown } ?? false
    exchange?.ended(isNameless ? DownloadError(.connection, cause: error) : error)
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
  // A queue of its own gets a thread of its own; those of the shared ones may all be busy waiting.
  private let delivery = DispatchQueue(label: "downloader.delivery")

  override init() {
    super.init()
    maxConcurrentOperationCount = 1
    unsafe underlyingQueue = delivery
  }

  override func addOperation(_ block: @escaping @Sendable () -> Void) {
    slots.wait()
    super.addOperation { [slots] in
      block()
      slots.signal()
    }
  }
}
