/// Runs a body and says, in any error it throws, what was being done.
///
/// An error that leaves the body becomes a ``ContextualError`` with a frame for this context; if it already is one, the
/// frame is added. A `CancellationError` passes unchanged. Inside the body, ``breadcrumb(_:)`` and `retry` leave their
/// traces in this context.
///
///     let page = try withErrorContext("parse", ["page": .public(number)]) {
///       try parse(bytes)
///     }
///
/// A body that succeeds costs one small object and a task-local value.
///
/// - Parameters:
///   - name: What is being done, in a word or two. The same every time: details belong in `values`.
///   - values: With what. Private unless marked `.public(…)`.
///   - fileID: The source file; leave the default.
///   - line: The line; leave the default.
///   - body: The work. Runs once, in the caller's task and isolation.
/// - Returns: What the body returns.
/// - Throws: ``ContextualError``, or `CancellationError` when the body throws that.
@inlinable public func withErrorContext<Result>(
  _ name: String, _ values: ContextValues = ContextValues(), fileID: String = #fileID,
  line: UInt = #line, _ body: () throws -> Result
) rethrows -> Result {
  let scope = ContextScope(name: name, values: values, fileID: fileID, line: line)
  do {
    let result = try ContextScope.current.withValue(scope, operation: body)
    scope.bodySucceeded()
    return result
  } catch {
    throw scope.wrap(error)
  }
}

/// Runs an asynchronous body and says, in any error it throws, what was being done.
///
/// The same as the synchronous form. The body runs on the caller's isolation, may use what is not `Sendable`, and
/// child tasks it starts inherit the context.
///
///     let page = try await withErrorContext("download", ["video_id": .public(id)]) {
///       try await fetch(id)
///     }
///
/// - Parameters:
///   - name: What is being done, in a word or two. The same every time: details belong in `values`.
///   - values: With what. Private unless marked `.public(…)`.
///   - fileID: The source file; leave the default.
///   - line: The line; leave the default.
///   - body: The work. Runs once, in the caller's task and isolation.
/// - Returns: What the body returns.
/// - Throws: ``ContextualError``, or `CancellationError` when the body throws that.
@inlinable public nonisolated(nonsending) func withErrorContext<Result>(
  _ name: String, _ values: ContextValues = ContextValues(), fileID: String = #fileID,
  line: UInt = #line, _ body: nonisolated(nonsending) () async throws -> Result
) async rethrows -> Result {
  let scope = ContextScope(name: name, values: values, fileID: fileID, line: line)
  do {
    let result = try await ContextScope.current.withValue(scope, operation: body)
    scope.bodySucceeded()
    return result
  } catch {
    throw scope.wrap(error)
  }
}
