@_exported public import BackoffLock
@_exported public import ReliabilityCore
@_exported public import ReliabilityIO
