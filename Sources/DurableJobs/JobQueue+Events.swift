internal import ReliabilityCore
internal import Synchronization

extension JobQueue {
  /// What happens from now on, as a sequence; it ends when it is dropped.
  ///
  /// A reader that is too slow loses the oldest events, and holds up nobody.
  ///
  /// - Parameter limit: How many events wait for the reader at most, 1 or more.
  public func events(keeping limit: Int = 1000) -> AsyncStream<JobEvent> {
    let (stream, continuation) = AsyncStream<JobEvent>.makeStream(
      bufferingPolicy: .bufferingNewest(max(1, limit)))
    let number = shell.withLock { shell in
      shell.nextStream += 1
      shell.streams[shell.nextStream] = continuation
      return shell.nextStream
    }
    hasListeners.store(true, ordering: .releasing)
    continuation.onTermination = { [weak self] _ in
      guard let self else { return }
      // The reference leaves the lock before it is released.
      _ = shell.withLock { $0.streams.removeValue(forKey: number) }
    }
    return stream
  }

  var isListening: Bool { hasListeners.load(ordering: .acquiring) }

  /// Tells everybody who listens.
  func tell(_ event: @autoclosure () -> JobEvent) {
    guard isListening else { return }
    let event = event()
    configuration.observer?(event)
    let streams = shell.withLock { Array($0.streams.values) }
    for stream in streams { stream.yield(event) }
  }
}
