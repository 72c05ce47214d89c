@_exported public import AtomicStore
@_exported public import ErrorContext
@_exported public import RateLimiting
@_exported public import ReliabilityCore
@_exported public import RetryKit
