internal import Dispatch

/// Where a task is cancelled when its limit passes.
///
/// Cancelling runs the cancellation handlers of the body, which are a user's code: never on the thread that serves everyone's
/// deadlines, because one that blocks would hold them all up.
enum CancellationQueues {
  /// Serial, because Dispatch finds a thread for such a queue at any time.
  private static let own = DispatchQueue(
    label: "swift-reliability.cancellations", qos: .userInitiated)

  /// Cancels soon, whatever the rest of the process does.
  ///
  /// Neither queue is enough alone. The global one has as many threads as the machine has cores, and shares them with Swift's
  /// tasks of the same priority: tasks that compute keep it waiting, among them the very bodies that are to be cancelled. The
  /// serial one waits for a handler that blocks. So the cancellation goes to both, and whichever comes second changes nothing.
  ///
  /// - Parameter cancel: Cancels one task. Called twice, maybe at the same time.
  static func run(_ cancel: @escaping @Sendable () -> Void) {
    own.async(execute: cancel)
    DispatchQueue.global(qos: .userInitiated).async(execute: cancel)
  }
}
