import Testing
import AtomicStore

@Suite struct AtomicStorePlaceholderTests {}
