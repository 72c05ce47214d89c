import Testing
import RetryKit

@Suite struct RetryKitPlaceholderTests {}
