import Testing
import ReliabilityCore

@Suite struct ReliabilityCorePlaceholderTests {}
