import Testing
import TimeoutManager

@Suite struct TimeoutManagerPlaceholderTests {}
