internal import Foundation
internal import FoundationNetworking
internal import Reliability
internal import ReliabilityExampleSupport

/// Fetches over https, with the one URLSession of the process: on Linux short-lived ones have crashed.
///
/// Redirects are not followed here. URLSession looks names up by itself, so the address that was looked at may not be the
/// one that is connected to; but behind any other there would have to be a server with a certificate for the name.
final class SecureFetch: Sendable {
  static let shared = SecureFetch()

  private let session: URLSession
  private let relay = Relay()
  // URLSession waits for its own thread in nearly every call: never on the cooperative pool.
  private let calls = DispatchQueue(label: "crawler.session")

  private init() {
    let configuration = URLSessionConfiguration.ephemeral
    configuration.timeoutIntervalForRequest = 3_600
    configuration.requestCachePolicy = .reloadIgnoringLocalCacheData
    configuration.httpShouldSetCookies = false
    configuration.httpMaximumConnectionsPerHost = 6
    session = URLSession(configuration: configuration, delegate: relay, delegateQueue: nil)
  }

  /// Sends a GET and gives the answer to a sink.
  ///
  /// - Throws: `URLError`, or `CancellationError`.
  func get(_ address: WebAddress, _ fields: [HTTPField], into sink: BodySink) async throws {
    guard let url = URL(string: address.description) else { throw URLError(.badURL) }
    var request = URLRequest(url: url)
    for field in fields { request.setValue(field.value, forHTTPHeaderField: field.name) }
    let transfer = Transfer()
    try await withTaskCancellationHandler {
      try await withCheckedThrowingContinuation { continuation in
        calls.async { [self, request] in
          let task = session.dataTask(with: request)
          relay.add(Relay.Delivery(sink: sink, continuation: continuation), for: task)
          if transfer.begin({ [calls] in calls.async { task.cancel() } }) {
            task.resume()
          } else {
            task.cancel()
          }
        }
      }
    } onCancel: {
      transfer.cancel()
    }
    try Task.checkCancellation()
  }
}

/// What has to be done to give a transfer up.
private final class Transfer: Sendable {
  private let state = Lock<(cancel: (@Sendable () -> Void)?, isCancelled: Bool)>((nil, false))

  func begin(_ cancel: @escaping @Sendable () -> Void) -> Bool {
    state.withLock { state in
      state.cancel = cancel
      return !state.isCancelled
    }
  }

  func cancel() {
    let cancel = state.withLock { state in
      state.isCancelled = true
      return state.cancel
    }
    cancel?()
  }
}

/// Hands the session's callbacks on to the sink they belong to.
private final class Relay: NSObject, URLSessionDataDelegate, Sendable {
  struct Delivery: Sendable {
    let sink: BodySink
    let continuation: CheckedContinuation<Void, any Error>
    var wasLeft = false
  }

  private let deliveries = Lock<[Int: Delivery]>([:])

  func add(_ delivery: Delivery, for task: URLSessionTask) {
    deliveries.withLock { $0[task.taskIdentifier] = delivery }
  }

  private func sink(of task: URLSessionTask) -> BodySink? {
    deliveries.withLock { $0[task.taskIdentifier] }?.sink
  }

  private func leave(_ task: URLSessionTask) {
    deliveries.withLock { $0[task.taskIdentifier]?.wasLeft = true }
    task.cancel()
  }

  func urlSession(
    _ session: URLSession, dataTask: URLSessionDataTask, didReceive response: URLResponse,
    completionHandler: @escaping @Sendable (URLSession.ResponseDisposition) -> Void
  ) {
    guard let response = response as? HTTPURLResponse else { return completionHandler(.cancel) }
    let fields = response.allHeaderFields.map { HTTPField("\($0.key)", "\($0.value)") }
    let head = HTTPResponseHead(status: response.statusCode, headers: fields)
    if sink(of: dataTask)?.take(head) == false {
      deliveries.withLock { $0[dataTask.taskIdentifier]?.wasLeft = true }
      completionHandler(.cancel)
    } else {
      completionHandler(.allow)
    }
  }

  func urlSession(_ session: URLSession, dataTask: URLSessionDataTask, didReceive data: Data) {
    guard let sink = sink(of: dataTask) else { return }
    if unsafe !data.withUnsafeBytes({ unsafe sink.take($0) }) { leave(dataTask) }
  }

  func urlSession(
    _ session: URLSession, task: URLSessionTask, didCompleteWithError error: (any Error)?
  ) {
    let delivery = deliveries.withLock { $0.removeValue(forKey: task.taskIdentifier) }
    guard let delivery else { return }
    if let error, !delivery.wasLeft {
      delivery.continuation.resume(throwing: error)
    } else {
      delivery.continuation.resume()
    }
  }

  func urlSession(
    _ session: URLSession, task: URLSessionTask,
    willPerformHTTPRedirection response: HTTPURLResponse, newRequest request: URLRequest,
    completionHandler: @escaping @Sendable (URLRequest?) -> Void
  ) {
    completionHandler(nil)
  }
}
