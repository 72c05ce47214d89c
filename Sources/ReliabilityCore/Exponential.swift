#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// e to the power of a number.
///
/// Of the system's library, which other modules do not import.
package func exponential(_ value: Double) -> Double { exp(value) }

/// The natural logarithm of a number; NaN below zero.
package func logarithm(_ value: Double) -> Double { log(value) }
