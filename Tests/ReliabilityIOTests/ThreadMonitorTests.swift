import ReliabilityIO
import Synchronization
import Testing

@Suite struct ThreadMonitorTests {
  @Test(.timeLimit(.minutes(10)))
  func aParkedThreadSleepsUntilItIsWoken() async {
    let parker = ThreadParker()
    let isAwake = Atomic<Bool>(false)
    let wasAwake = await withCheckedContinuation { continuation in
      let failure = SystemThread.start("parked") {
        parker.sleep()
        continuation.resume(returning: isAwake.load(ordering: .acquiring))
      }
      #expect(failure == 0)
      _ = SystemThread.start("waker") {
        isAwake.store(true, ordering: .releasing)
        parker.wake()
      }
    }
    #expect(wasAwake)
  }

  @Test(.timeLimit(.minutes(10)))
  func aWakeThatComesFirstIsNotLost() async {
    await withCheckedContinuation { continuation in
      _ = SystemThread.start("late") {
        let parker = ThreadParker()
        parker.wake()
        parker.sleep()
        parker.sleep()
        continuation.resume()
      }
    }
  }

  @Test(.timeLimit(.minutes(10)))
  func aWaitWithALimitEndsAloneAndSaysSo() async {
    let wasSignalled = await withCheckedContinuation { continuation in
      _ = SystemThread.start("limited") {
        let monitor = ThreadMonitor()
        monitor.lock()
        var wasSignalled = true
        // A wait may end without a signal and before its time.
        for _ in 0..<100 where wasSignalled { wasSignalled = monitor.wait(seconds: 0) }
        monitor.unlock()
        continuation.resume(returning: wasSignalled)
      }
    }
    #expect(!wasSignalled)
  }

  @Test(.timeLimit(.minutes(10)))
  func aSignalEndsAWaitWithALimitBeforeItsTime() async {
    let queue = Handover()
    let received = await withCheckedContinuation { continuation in
      _ = SystemThread.start("receiver") { continuation.resume(returning: queue.receive(100)) }
      _ = SystemThread.start("sender") { for number in 0..<100 { queue.send(number) } }
    }
    #expect(received == Array(0..<100))
  }
}

/// Numbers on their way from one thread to another.
///
/// Unchecked: the numbers are touched only under the monitor.
private final class Handover: @unchecked Sendable {
  private let monitor = ThreadMonitor()
  private var numbers: [Int] = []

  func send(_ number: Int) {
    monitor.lock()
    numbers.append(number)
    monitor.unlock()
    monitor.signal()
  }

  func receive(_ count: Int) -> [Int] {
    var received: [Int] = []
    monitor.lock()
    while received.count < count {
      while numbers.isEmpty { _ = monitor.wait(seconds: 600) }
      received += numbers
      numbers = []
    }
    monitor.unlock()
    return received
  }
}
