import Testing

@Suite struct ExamplesPlaceholderTests {}
