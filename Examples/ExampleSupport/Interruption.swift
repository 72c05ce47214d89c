internal import Dispatch
internal import Foundation
internal import Synchronization

/// Turns Ctrl-C and `kill` into a call, instead of the sudden end of the process.
///
///     let interruption = Interruption { work.cancel() }
///     defer { interruption.stop() }
///
/// The first signal calls the handler, so that the program can clean up and report; the second one ends the process
/// at once with status 130.
public final class Interruption: Sendable {
  // Cancelling a source is safe from any thread; Dispatch just doesn't say so in Swift's words.
  private nonisolated(unsafe) let sources: [any DispatchSourceSignal]
  private let signals: SignalCount

  /// Starts to listen for SIGINT and SIGTERM.
  ///
  /// - Parameter handler: Called once, on a thread of Dispatch.
  public init(_ handler: @escaping @Sendable () -> Void) {
    let signals = SignalCount()
    self.signals = signals
    unsafe sources = [SIGINT, SIGTERM].map { number in
      // Dispatch sees a signal only when it doesn't also have its usual effect.
      _ = signal(number, SIG_IGN)
      let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
      source.setEventHandler {
        guard signals.add() == 1 else {
          Terminal(.error).write("\u{1b}[?25h\n")
          exit(130)
        }
        handler()
      }
      source.resume()
      return source
    }
  }

  /// Whether a signal came.
  public var happened: Bool { signals.value > 0 }

  /// Gives the signals their usual effect back.
  public func stop() {
    for source in unsafe sources { source.cancel() }
    for number in [SIGINT, SIGTERM] { _ = signal(number, SIG_DFL) }
  }
}

private final class SignalCount: Sendable {
  private let count = Atomic(0)

  var value: Int { count.load(ordering: .relaxed) }

  func add() -> Int { count.add(1, ordering: .relaxed).newValue }
}
