internal import Foundation
internal import Reliability
internal import ReliabilityExampleSupport

/// The command: reads its arguments, runs the downloads or the demo, prints what came of it.
@main enum Program {
  static func main() async {
    ErrorClassifier.installFoundationRules()
    // A reader that goes away (`downloader | head`) must not end the process before it has cleaned up.
    _ = signal(SIGPIPE, SIG_IGN)
    exit(await run(Array(CommandLine.arguments.dropFirst())))
  }

  /// - Returns: The exit status.
  static func run(_ arguments: [String]) async -> Int32 {
    do {
      switch arguments.first {
      case "serve": return try await serve(Array(arguments.dropFirst()))
      case "config": return try config(Array(arguments.dropFirst()))
      case "status", "dead-letters": return try await maintain(arguments)
      case "doctor": return try await examine(Array(arguments.dropFirst()))
      default: break
      }
      let options = try Options(arguments)
      if options.showsHelp {
        Terminal(.output).write(Options.grammar.help)
        return 0
      }
      return options.isDemo ? try await demo(options) : try await download(options)
    } catch let error as UsageError {
      Terminal(.error).write("downloader: \(error)\n")
      return 2
    } catch {
      Terminal(.error).write("downloader: \(FailureText.line(about: error))\n")
      return 1
    }
  }

  private static func config(_ arguments: [String]) throws -> Int32 {
    let options = try ServeOptions(arguments, needsState: false)
    Terminal(.output).write(
      options.showsHelp ? ServeOptions.grammar.help : ConfigText.table(options.entries))
    return 0
  }

  private static func maintain(_ arguments: [String]) async throws -> Int32 {
    let command = try StateCommand(arguments)
    Terminal(.output).write(
      command.showsHelp ? StateCommand.grammar.help : try await command.run())
    return 0
  }

  private static func examine(_ arguments: [String]) async throws -> Int32 {
    let command = try DoctorCommand(arguments)
    if command.showsHelp {
      Terminal(.output).write(DoctorCommand.grammar.help)
      return 0
    }
    let answer = try await command.run()
    Terminal(.output).write(answer.text)
    return answer.isGood ? 0 : 1
  }

  private static func serve(_ arguments: [String]) async throws -> Int32 {
    let options = try ServeOptions(arguments)
    let terminal = Terminal(.output)
    if options.showsHelp {
      terminal.write(ServeOptions.grammar.help)
      return 0
    }
    let display = ProgressDisplay(terminal: terminal, total: 0, isQuiet: options.isQuiet)
    let service = try await DownloadService.open(options, display: display)
    terminal.write(
      "listening on http://\(service.address)/  files \(options.output)  state \(options.state)  "
        + "durability \(options.settings.durability)\n")
    let work = Task { try await service.run() }
    let interruption = Interruption {
      Task {
        await service.stopListening()
        work.cancel()
      }
    }
    try await work.value
    interruption.stop()
    display.close()
    terminal.write("stopped\n")
    return 0
  }

  private static func download(_ options: Options) async throws -> Int32 {
    var urls = options.urls
    if let from = options.from { urls += try URLList.read(from) }
    guard !urls.isEmpty else {
      throw UsageError("there is no URL in \((options.from ?? "").quotedForDisplay)")
    }
    let plan = try DownloadPlan(urls: urls, checksums: options.checksums)
    return try await run(plan, in: options.output ?? ".", options)
  }

  private static func demo(_ options: Options) async throws -> Int32 {
    avoidProxyForLoopback()
    let origin = try MediaOrigin()
    let plan = try DownloadPlan(
      urls: origin.items.map(origin.url), checksums: await origin.checksums() + options.checksums)
    let directory = options.output ?? OutputDirectory.temporaryPath()
    defer { if options.output == nil { OutputDirectory.remove(directory) } }
    do {
      let status = try await run(plan, in: directory, options, origin)
      await origin.stop()
      return status
    } catch {
      await origin.stop()
      throw error
    }
  }

  private static func run(
    _ plan: DownloadPlan, in path: String, _ options: Options, _ origin: MediaOrigin? = nil
  ) async throws -> Int32 {
    // With --json, standard output is for the program that reads it.
    let terminal = Terminal(options.isJSON ? .error : .output)
    if let origin, !options.isQuiet { terminal.write(DemoText.introduction(origin, options)) }
    let display = ProgressDisplay(
      terminal: terminal, total: plan.items.count, isQuiet: options.isQuiet)
    var run = DownloadRun(plan: plan, directory: path, options: options, display: display)
    do {
      try await OutputDirectory.prepare(path)
      if let state = options.state {
        run = DownloadRun(
          plan: plan, directory: path, options: options, display: display,
          state: try await StateDirectory.open(state, command: "run"))
      }
    } catch {
      if options.isJSON { Terminal(.output).write(try run.refused(error).json() + "\n") }
      throw error
    }
    let work = Task { [run] in await run.perform() }
    let interruption = Interruption { work.cancel() }
    var summary = await work.value
    interruption.stop()

    if let origin { summary.faults = DemoText.faults(origin) }
    if !options.isQuiet {
      terminal.write(summary.report(on: terminal, faults: origin.map(DemoText.titles)))
    }
    if options.isJSON { Terminal(.output).write(try summary.json() + "\n") }
    if interruption.happened, summary.unfinished > 0 { return 130 }
    return summary.isGood ? 0 : 1
  }

  /// Keeps the demo off a proxy that the environment names for http.
  private static func avoidProxyForLoopback() {
    for name in ["no_proxy", "NO_PROXY"] {
      let others = ProcessInfo.processInfo.environment[name].map { $0 + "," } ?? ""
      unsafe setenv(name, others + "127.0.0.1", 1)
    }
  }
}
