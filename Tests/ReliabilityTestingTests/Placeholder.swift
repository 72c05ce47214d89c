import Testing
import ReliabilityTesting

@Suite struct ReliabilityTestingPlaceholderTests {}
