import Foundation
import ReliabilityExampleSupport
import ReliabilityTestSupport
import Testing

@testable import ReliabilityDownloader

/// What the guides say about the downloader is so.
@Suite struct GuideTests {
  /// Placeholders of the guides, as something that a reader might put there.
  private static func filledIn(_ word: String) -> String {
    let url = "https://example.org/a.iso"
    switch word {
    case "URL": return url
    case "URL=SHA256": return url + "=" + String(repeating: "0", count: 64)
    default: return word
    }
  }

  @Test func everyCallOfTheDownloaderIsUnderstood() throws {
    let calls = try Guides.calls(of: "downloader")
    #expect(calls.count > 30)
    for (line, words) in calls {
      var arguments = words.map(Self.filledIn)
      // The file is the reader's.
      if let file = arguments.firstIndex(of: "--env-file") {
        arguments.removeSubrange(file...(file + 1))
      }
      let rest = Array(arguments.dropFirst())
      #expect(throws: Never.self, "\(line)") {
        switch arguments.first {
        case "serve": _ = try ServeOptions(rest, environment: [:])
        case "config": _ = try ServeOptions(rest, environment: [:], needsState: false)
        case "status", "dead-letters": _ = try StateCommand(arguments)
        case "doctor": _ = try DoctorCommand(rest)
        default:
          let options = try Options(arguments, environment: [:])
          if !options.urls.isEmpty { _ = try DownloadPlan(urls: options.urls, checksums: []) }
        }
      }
    }
  }

  @Test func everySettingInARunbookExistsWithTheDefaultItNames() throws {
    let entries = try ServeOptions([], environment: [:], needsState: false).entries
    let known = Dictionary(entries.map { ($0.name, $0.value) }) { first, _ in first }
    var found: Set<String> = []
    for line in try Guides.lines(in: "Runbooks/") {
      for match in line.text.matches(of: /`([A-Z]+(?:_[A-Z]+)+)(?:=[^`]*)?`(?: \(([0-9.,]+))?/) {
        let name = String(match.1)
        let value = try #require(known[name], "\(line): there is no \(name)")
        found.insert(name)
        guard let given = match.2 else { continue }
        let number = given.replacing(",", with: "")
        #expect(Double(number) == Double(value), "\(line): the default of \(name) is \(value)")
      }
    }
    #expect(found.count > 10)
  }
}

/// What the runbooks name is what the built program shows.
@Suite(.realTime, .timeLimit(.minutes(10)), .enabled(if: Command.exists))
struct RealTimeRunbookTests {
  @Test func everyFigureAndEveryPageInARunbookExists() async throws {
    let service = try await Service([
      "--allow-private", "--rate", "5", "--tool", "true {url} {output}", "--fallback-builtin",
    ])
    _ = try await service.enqueue("http://127.0.0.1:9/a")
    let samples = try await service.get("/metrics").body.split(separator: "\n")
      .filter { !$0.hasPrefix("#") }
    var figures = 0
    for line in try Guides.lines(in: "Runbooks/") {
      for match in line.text.matches(of: /\b(downloader_[a-z_]+)(?:\{([^}]*)\})?/) {
        figures += 1
        let name = String(match.1)
        let labels = (match.2 ?? "").split(separator: ",").map(String.init)
        #expect(
          samples.contains { sample in
            let own = sample.prefix { $0 != "{" && $0 != " " }
            let fits = ["", "_count"].contains { own == name + $0 }
            return fits && labels.allSatisfy(sample.contains)
          }, "\(line): nothing is \(match.0)")
      }
      // In a row of several, `{outcome="…"}` stands for the figure before it.
      for match in line.text.matches(of: /`\{?([a-z]+="[a-zA-Z_.]+")\}?`/) {
        #expect(samples.contains { $0.contains(match.1) }, "\(line): nothing has \(match.1)")
      }
      guard line.isCode, !line.text.contains(" -d "), !line.text.contains(" -X ") else { continue }
      for match in line.text.matches(of: /http:\/\/127\.0\.0\.1:8080(\/[^' |]*)/) {
        let answer = try await service.get(String(match.1))
        #expect(answer.status == 200, "\(line): \(answer.status)")
      }
    }
    #expect(figures > 50)
    _ = await service.stop()
  }
}
