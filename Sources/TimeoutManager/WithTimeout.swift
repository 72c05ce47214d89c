public import ReliabilityCore

/// Runs work under a limit of time: when the limit passes, the work is cancelled and its end awaited.
///
///     let page = try await withTimeout(.seconds(10)) {
///       try await fetch(url)
///     }
///
/// The body runs on the caller's isolation, may capture what is not `Sendable`, and may return it. It runs in a child
/// task that inherits priority, task-local values and the preferred task executor, and begins without a thread hop.
///
/// | the body | after the limit | result |
/// |---|---|---|
/// | returns | no or yes | the value: a result that exists is never thrown away |
/// | throws | no | its error, unchanged |
/// | throws | yes | ``TimeoutError``, with its error as the cause |
///
/// A cancellation of the caller is passed on to the body and stays a cancellation, unless the limit passed first. Also when
/// no time is left at the call: a caller that is cancelled already gets `CancellationError`.
/// `Deadline.current` is the limit inside the body. Of nested limits the earliest counts, also across tasks that the body
/// starts and that inherit task-local values.
/// So a `Task` that the body starts and that outlives it has no time left once the limit has passed: limits inside it throw
/// at once and retries give up. Start what is meant to live longer (a read loop of a connection) with `Task.detached`.
///
/// Cancelling is cooperative: a body that ignores it is awaited all the same, so that nothing it borrowed is used after
/// the caller goes on, and ``TimeoutError/elapsed`` tells. For work that cannot be cancelled see
/// ``withTimeout(abandoningAfter:kind:clock:fileID:line:_:)``.
///
/// - Parameters:
///   - limit: How long the body may take. Zero or less throws at once and never runs the body; above five hundred years means
///     five hundred years.
///   - kind: Which limit this is, for the error.
///   - clock: The source of time.
///   - isolation: The caller's isolation; leave the default.
///   - fileID: Where this is called, for `CompositionMonitor`; leave the default.
///   - line: Where this is called; leave the default.
///   - body: The work.
/// - Returns: What the body returns.
/// - Throws: What the body throws, or ``TimeoutError``.
@inlinable public func withTimeout<Value>(
  _ limit: Duration,
  kind: TimeoutError.Kind = .total,
  clock: any TimeSource = ContinuousClock(),
  isolation: isolated (any Actor)? = #isolation,
  fileID: String = #fileID, line: UInt = #line,
  _ body: () async throws -> Value
) async throws -> Value {
  let operation = try TimeoutOperation.scheduled(limit: limit, kind, clock, fileID, line)
  return try await run(operation, kind, clock, isolation: isolation, body)
}

/// Runs work until an instant: when it comes, the work is cancelled and its end awaited.
///
/// The same as ``withTimeout(_:kind:clock:isolation:fileID:line:_:)`` with an absolute limit, which is what several steps share.
///
///     let deadline = Deadline(clock.now + .seconds(30))
///     let list = try await withTimeout(until: deadline) { try await fetchList() }
///     let page = try await withTimeout(until: deadline) { try await fetch(list[0]) }
///
/// - Parameters:
///   - deadline: The instant. One that has passed throws at once and never runs the body.
///   - kind: Which limit this is, for the error.
///   - clock: The source of time.
///   - isolation: The caller's isolation; leave the default.
///   - fileID: Where this is called, for `CompositionMonitor`; leave the default.
///   - line: Where this is called; leave the default.
///   - body: The work.
/// - Returns: What the body returns.
/// - Throws: What the body throws, or ``TimeoutError``.
@inlinable public func withTimeout<Value>(
  until deadline: Deadline,
  kind: TimeoutError.Kind = .total,
  clock: any TimeSource = ContinuousClock(),
  isolation: isolated (any Actor)? = #isolation,
  fileID: String = #fileID, line: UInt = #line,
  _ body: () async throws -> Value
) async throws -> Value {
  let operation = try TimeoutOperation.scheduled(until: deadline, kind, clock, fileID, line)
  return try await run(operation, kind, clock, isolation: isolation, body)
}

@inlinable @inline(__always)
func run<Value>(
  _ operation: TimeoutOperation, _ kind: TimeoutError.Kind, _ clock: any TimeSource,
  isolation: isolated (any Actor)?,
  _ body: () async throws -> Value
) async throws -> Value {
  // Written by the child before its end, read after that.
  nonisolated(unsafe) var value: Value?
  await withoutActuallyEscaping(body) { body in
    // Takes the body past the `Sendable` checks of a child task: the child runs on the caller's isolation while the caller
    // waits for it, so that no two threads ever touch what the body captured at once.
    let body = Unchecked(body)
    await TimeoutOperation.current.withValue(operation) {
      // A group of one: in it the caller's cancellation reaches the child without a handler, and the child finds the
      // task-local values without a copy of them.
      await withDiscardingTaskGroup { group in
        group.startNow {
          // Capturing the isolation makes the child inherit it.
          _ = isolation
          operation.begin()
          do {
            unsafe value = try await body.value()
            operation.end()
          } catch {
            operation.end(error)
          }
        }
      }
    }
  }
  operation.takeBack(from: clock)
  guard let value = unsafe value else { throw operation.error(kind, clock) }
  return value
}

/// Takes a value past the `Sendable` checks where the code around it proves that there is no race.
@usableFromInline
struct Unchecked<Value>: @unchecked Sendable {
  @usableFromInline let value: Value
  @inlinable init(_ value: Value) { self.value = value }
}
