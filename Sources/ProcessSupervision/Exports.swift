@_exported public import ErrorContext
@_exported public import ReliabilityCore
@_exported public import ReliabilityIO
