@_exported public import ReliabilityCore
@_exported public import ReliabilityIO
