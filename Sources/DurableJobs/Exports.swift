@_exported public import AtomicStore
@_exported public import ErrorContext
@_exported public import ReliabilityCore
