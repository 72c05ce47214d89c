@_exported public import ReliabilityCore
