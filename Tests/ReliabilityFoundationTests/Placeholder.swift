import Testing
import ReliabilityFoundation

@Suite struct ReliabilityFoundationPlaceholderTests {}
