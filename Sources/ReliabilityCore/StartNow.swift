/// Starts a task on the current thread where the system can, else as soon as the executor gets to it.
///
/// The body runs up to its first suspension before this returns. The task is not structured: whoever starts it cancels it
/// and awaits its end.
@inlinable @inline(__always)
package func startNow<Value>(
  _ operation: sending @escaping @isolated(any) () async -> Value
) -> Task<Value, Never> {
  if #available(macOS 26.0, iOS 26.0, watchOS 26.0, tvOS 26.0, visionOS 26.0, *) {
    return .immediate(executorPreference: preferredExecutor(), operation: operation)
  }
  return Task(operation: operation)
}

/// The task executor that the caller prefers, which a task that is not structured does not inherit by itself.
@usableFromInline
package func preferredExecutor() -> (any TaskExecutor)? {
  guard #available(macOS 26.4, iOS 26.4, watchOS 26.4, tvOS 26.4, visionOS 26.4, *) else {
    return nil
  }
  return unsafe withUnsafeCurrentTask { unsafe $0?.unownedTaskExecutor?.asTaskExecutor() }
}

extension DiscardingTaskGroup {
  /// Starts a child on the current thread where the system can, else as soon as the executor gets to it.
  @inlinable @inline(__always)
  package mutating func startNow(
    _ operation: sending @escaping @isolated(any) () async -> Void
  ) {
    if #available(macOS 26.0, iOS 26.0, watchOS 26.0, tvOS 26.0, visionOS 26.0, *) {
      addImmediateTask(operation: operation)
    } else {
      addTask(operation: operation)
    }
  }
}
