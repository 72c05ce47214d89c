import Testing
import ReliabilityIO

@Suite struct ReliabilityIOPlaceholderTests {}
