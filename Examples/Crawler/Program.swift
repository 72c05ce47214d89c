internal import Foundation
internal import Reliability
internal import ReliabilityExampleSupport

/// The command: reads its arguments, runs the crawl or the demo, prints what came of it.
@main enum Program {
  static func main() async {
    ErrorClassifier.installFoundationRules()
    // A reader that goes away (`crawler | head`) must not end the process in the middle.
    _ = signal(SIGPIPE, SIG_IGN)
    exit(await run(Array(CommandLine.arguments.dropFirst())))
  }

  /// - Returns: The exit status.
  static func run(_ arguments: [String]) async -> Int32 {
    do {
      var options = try Options(arguments)
      if options.showsHelp {
        Terminal(.output).write(Options.grammar.help)
        return 0
      }
      // With --json, standard output is for the program that reads it.
      let terminal = Terminal(options.isJSON ? .error : .output)
      switch options.mode {
      case .crawl:
        return try await CrawlSession(
          options: options, directory: options.output ?? ".", terminal: terminal
        ).run()
      case .demo: return try await demo(&options, terminal)
      case .serve: return try await serve(options)
      }
    } catch let error as UsageError {
      Terminal(.error).write("crawler: \(error)\n")
      return 2
    } catch {
      let report = ErrorReport(error)
      let action = report.suggestedActions.first.map { " \($0)" } ?? ""
      Terminal(.error).write("crawler: \(report.userMessage)\(action)\n")
      return 1
    }
  }

  private static func demo(_ options: inout Options, _ terminal: Terminal) async throws -> Int32 {
    let sites = try DemoSites()
    options.plan.seeds = sites.seeds.compactMap { WebAddress($0) }
    let directory = options.output ?? CrawlSession.temporaryPath()
    defer {
      if options.output == nil { try? FileManager.default.removeItem(atPath: directory) }
    }
    if !options.isQuiet {
      terminal.write(
        """
        Demo: two sites on this machine, with \(DemoSites.stories) stories, \(2 * DemoSites.stories) sounds, traps, and \
        faults. Wanted: \(options.plan.voice ?? "any") voices on pages in \(options.plan.language ?? "any language").


        """)
    }
    do {
      let status = try await CrawlSession(
        options: options, directory: directory, terminal: terminal
      ).run()
      await sites.stop()
      return status
    } catch {
      await sites.stop()
      throw error
    }
  }

  /// Serves the demo's sites, or a plain one, until a signal comes; says where on the first line.
  private static func serve(_ options: Options) async throws -> Int32 {
    let (stream, ending) = AsyncStream<Void>.makeStream()
    let interruption = Interruption { ending.finish() }
    defer { interruption.stop() }
    if options.servedPages > 0 {
      let server = try PlainSite.start(pages: options.servedPages)
      Terminal(.output).write("http://127.0.0.1:\(server.port)/\n")
      for await _ in stream {}
      await server.stop()
    } else {
      let sites = try DemoSites()
      Terminal(.output).write(sites.seeds.joined(separator: " ") + "\n")
      for await _ in stream {}
      await sites.stop()
    }
    return 0
  }
}
