import Testing
import ErrorContext

@Suite struct ErrorContextPlaceholderTests {}
