public import CReliability
public import Synchronization

/// The standard library's `Mutex`, whose order the thread sanitizer can see.
///
/// On Linux a contended `Mutex` is handed over by the kernel, and the sanitizer reports races that are none (a bare counter in a
/// contended `Mutex` is enough). This one tells it. Without the sanitizer it is the `Mutex`, and as fast.
@usableFromInline package struct Lock<Value: ~Copyable>: ~Copyable {
  @usableFromInline package let mutex: Mutex<Value>

  /// Makes a lock around a value.
  @inlinable package init(_ value: consuming sending Value) {
    mutex = Mutex(value)
  }

  /// Runs the body with the value, alone.
  ///
  /// Not recursive; never call a user's code inside.
  @inlinable package borrowing func withLock<Result: ~Copyable, Failure: Error>(
    _ body: (inout sending Value) throws(Failure) -> sending Result
  ) throws(Failure) -> sending Result {
    // Of the lock, not of the value: to take the value's address is an access before the sanitizer knows of the lock.
    let address = unsafe withUnsafePointer(to: self) {
      unsafe UnsafeMutableRawPointer(mutating: $0)
    }
    return try mutex.withLock { (value) throws(Failure) in
      unsafe creliability_lock_taken(address)
      defer { unsafe creliability_lock_given_up(address) }
      return try body(&value)
    }
  }
}

extension Lock: @unchecked Sendable where Value: ~Copyable {}
