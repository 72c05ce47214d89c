import Testing
import ReliabilityMetrics

@Suite struct ReliabilityMetricsPlaceholderTests {}
