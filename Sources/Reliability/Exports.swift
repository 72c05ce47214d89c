@_exported public import AtomicStore
@_exported public import BackoffLock
@_exported public import ErrorContext
@_exported public import ReliabilityCore
@_exported public import ReliabilityFoundation
@_exported public import ReliabilityMetrics
@_exported public import RetryKit
@_exported public import TimeoutManager
