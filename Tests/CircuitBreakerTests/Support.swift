import ReliabilityCore
import ReliabilityTestSupport
import ReliabilityTesting

@testable import CircuitBreaker

struct Down: Error, Equatable {
  var number = 0
}

/// An error with whatever classification a test wants.
struct Classified: ClassifiedError {
  var category = ErrorCategory.dependency
  var retryability = Retryability.retryable()
}

/// Holds a ticket where only copyable things can be held.
final class Held {
  private var ticket: CircuitBreaker.Ticket?

  init(_ ticket: consuming CircuitBreaker.Ticket) { self.ticket = consume ticket }

  func take() -> CircuitBreaker.Ticket { ticket.take()! }
  func drop() { ticket = nil }
}

/// A breaker on a clock that a test moves, and everything it tells.
struct Lab {
  let clock = ManualClock()
  let events = Log<CircuitBreaker.Event>()
  let breaker: CircuitBreaker

  init(_ configuration: CircuitBreaker.Configuration = .init(consecutiveFailures: 2)) {
    var configuration = configuration
    configuration.clock = clock
    configuration.observer = { [events] in events.append($0) }
    breaker = CircuitBreaker(name: "lab", configuration: configuration)
  }

  /// Makes the breaker open by failing as often as it takes.
  func trip() throws {
    while breaker.state == .closed { try breaker.admit().fail(Down()) }
  }

  /// Opens it and lets the open time pass.
  func halfOpen() throws {
    try trip()
    clock.advance(by: breaker.remainingOpenTime!)
  }

  func held() throws -> Held { Held(try breaker.admit()) }

  var isAdmitting: Bool {
    do {
      _ = try breaker.admit()
      return true
    } catch {
      return false
    }
  }

  var rejection: CircuitOpenError? {
    do {
      _ = try breaker.admit()
      return nil
    } catch {
      return error as? CircuitOpenError
    }
  }

  var story: [String] { events.all.map { "\($0.from)>\($0.to) \($0.cause)" } }

  func count(_ outcome: String) -> Int { breaker.count(outcome) }
}

extension CircuitBreaker {
  func count(_ outcome: String) -> Int {
    let sample = samples().first {
      $0.name == "breaker_calls_total" && $0.labels.contains { $0.value == outcome }
    }
    return Int(sample!.value)
  }

  /// Calls that were admitted and ended, in whatever way.
  var ended: Int {
    samples().filter { $0.name == "breaker_calls_total" }.reduce(0) { $0 + Int($1.value) }
  }
}
