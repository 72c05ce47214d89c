import Foundation
import ReliabilityExampleSupport
import ReliabilityTestSupport
import Testing

@testable import ReliabilityDownloader

@Suite struct SettingsTests {
  private func serve(
    _ arguments: [String] = [], _ environment: [String: String] = [:]
  ) throws -> ServeOptions {
    try ServeOptions(["--state", "s"] + arguments, environment: environment)
  }

  @Test func defaultsAreThoseOfTheMission() throws {
    let settings = try serve().settings
    #expect(settings.queueMaxSize == 1000)
    #expect(settings.retryAttempts == 3 && settings.attempts == 4)
    #expect(settings.retryBackoff == 1.5)
    #expect(settings.cleanupInterval == .seconds(3600))
    #expect(settings.downloadTimeout == .seconds(3600))
    #expect(settings.videoInfoTimeout == .seconds(30) && settings.subtitleTimeout == .seconds(60))
    #expect(settings.thumbnailTimeout == .seconds(30))
    #expect(settings.enablesCaching && settings.cacheMaxSize == 1000)
    #expect(settings.videoInfoLife == .seconds(3600))
    #expect(settings.enablesMetrics && settings.metricsInterval == .seconds(60))
    #expect(settings.healthInterval == .seconds(30))
    #expect(settings.ratePerMinute == 60 && settings.rateBurst == 10)
    #expect(settings.workers == 3 && settings.isEnhanced)
    #expect(settings.policy == .publicOnly)
  }

  @Test func flagsWinOverTheEnvironmentAndThatOverTheFile() throws {
    let directory = ScratchDirectory()
    try directory.write(
      "# settings\nDOWNLOAD_TIMEOUT=10\nexport JOB_QUEUE_MAX_SIZE='20'\nRATE_LIMIT_BURST=5 # few\n",
      to: "env")
    let options = try serve(
      ["--timeout", "7", "--env-file", directory.file("env")],
      ["DOWNLOAD_TIMEOUT": "8", "JOB_QUEUE_MAX_SIZE": "30", "REDIS_TIMEOUT": "5"])
    #expect(options.settings.downloadTimeout == .seconds(7))
    #expect(options.settings.queueMaxSize == 30)
    #expect(options.settings.rateBurst == 5)
    func entry(_ name: String) -> SettingsReader.Entry? {
      options.entries.first { $0.name == name }
    }
    #expect(entry("DOWNLOAD_TIMEOUT")?.source == .flag)
    #expect(entry("JOB_QUEUE_MAX_SIZE")?.source == .environment)
    #expect(entry("RATE_LIMIT_BURST")?.source == .file(directory.file("env")))
    #expect(entry("CACHE_MAX_SIZE")?.source == .standard)
    #expect(entry("REDIS_TIMEOUT")?.note?.hasPrefix("unused") == true)
    let table = ConfigText.table(options.entries)
    #expect(table.contains("JOB_QUEUE_MAX_SIZE") && table.contains("environment"))
  }

  @Test(arguments: [
    ("JOB_QUEUE_MAX_SIZE", "0"), ("JOB_RETRY_ATTEMPTS", "many"), ("JOB_RETRY_BACKOFF", "nan"),
    ("DOWNLOAD_TIMEOUT", "-1"), ("ENABLE_CACHING", "perhaps"), ("CACHE_MAX_SIZE", ""),
    ("RATE_LIMIT_PER_MINUTE", "1e9"), ("HEALTH_CHECK_INTERVAL", "inf"),
  ])
  func aBadValueIsRefusedByName(name: String, value: String) throws {
    let error = #expect(throws: UsageError.self) { try serve([], [name: value]) }
    #expect(error?.description.hasPrefix("\(name) must be ") == true, "\(error as Any)")
  }

  @Test func aLineOfTheFileThatIsNoneIsRefusedByNumber() throws {
    let directory = ScratchDirectory()
    try directory.write("A=1\nnonsense\n", to: "env")
    let error = #expect(throws: UsageError.self) {
      try serve(["--env-file", directory.file("env")])
    }
    #expect(error?.description.contains("line 2") == true)
  }

  @Test(arguments: ["0.0.0.0:80", "[::]:8080", "192.0.2.1:1"])
  func listeningElsewhereNeedsAToken(address: String) throws {
    let error = #expect(throws: UsageError.self) { try serve(["--listen", address]) }
    #expect(error?.description.contains("--token-file") == true)
    #expect(try !serve(["--listen", address, "--token-file", "t"]).listen.isLoopback)
  }

  @Test(arguments: ["", "127.0.0.1", "::1:80", "host:80", "127.0.0.1:70000", "[::1]"])
  func anAddressThatIsNoneIsRefused(address: String) throws {
    #expect(throws: UsageError.self) { try ListenAddress(address) }
  }

  @Test func aTokenIsComparedAsAWholeAndMustBeLong() throws {
    #expect(throws: UsageError.self) { try AccessToken("short") }
    let token = try AccessToken("0123456789abcdef")
    func request(_ field: String) throws -> HTTPRequest {
      try HTTPRequest(head: Array("GET / HTTP/1.1\r\n\(field)\r\n\r\n".utf8))
    }
    #expect(token.isIn(try request("Authorization: Bearer 0123456789abcdef")))
    for field in [
      "A: b", "Authorization: Bearer 0123456789abcdeg", "Authorization: Bearer 0123456789abcde",
      "Authorization: Bearer 0123456789abcdef0", "Authorization: Basic 0123456789abcdef",
      "Authorization: Bearer ",
    ] {
      #expect(!token.isIn(try request(field)), "\(field)")
    }
  }
}
