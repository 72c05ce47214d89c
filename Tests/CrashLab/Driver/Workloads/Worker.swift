import ReliabilityIO

/// The commands `work` and `check`: one workload, in a process that may be ended at any instant.
enum Worker {
  /// Does a workload.
  ///
  /// `--directory`, `--workload`, `--evidence`; `--cut` and `--cut-mode` for a power cut, `--bug`, `--file-limit`.
  static func work(_ arguments: Arguments) async -> Int32 {
    let evidence = Evidence(arguments["evidence"])
    return await run(arguments) { place, workload in
      try await workload.run(in: place, evidence)
      return []
    }
  }

  /// Looks at what a workload left, with what `work` takes and the `--fault` that was met.
  ///
  /// Prints what is wrong; a second power cut may hit the repair.
  static func check(_ arguments: Arguments) async -> Int32 {
    guard let fault = Fault(rawValue: arguments["fault"]) else { System.fail("no such fault") }
    let history = History(arguments["evidence"])
    return await run(arguments) { place, workload in
      var wrong = history.entries.filter { $0.event == .violation }.map(\.text)
      wrong += try await workload.check(place, history, after: fault)
      wrong += await Orphans.remaining(in: place, after: fault).map { "left behind: \($0)" }
      for name in Files.names(in: place.directory) where name != "lost+found" {
        if !workload.expects(name) { wrong.append("unexpected file: \(name)") }
      }
      return wrong
    }
  }

  private static func run(
    _ arguments: Arguments, _ body: (Place, any Workload) async throws -> [String]
  ) async -> Int32 {
    if arguments[optional: "file-limit"] != nil {
      System.limitFileSize(to: arguments.int("file-limit"))
    }
    var backend: any FileSystemBackend = RealFileSystem()
    #if os(Linux)
      let cut = PowerCutFileSystem(
        cutting: arguments["directory"], after: arguments.int("cut", default: -1),
        System.CutMode(rawValue: UInt32(arguments.int("cut-mode", default: 2))) ?? .losesAll,
        on: backend)
      backend = cut
    #endif
    if let bug = arguments.bug { backend = BuggyFileSystem(bug, on: backend) }
    let place = Place(directory: arguments["directory"], fileSystem: FileSystem(backend))
    var wrong: [String]
    do {
      wrong = try await body(place, Workloads.named(arguments["workload"]))
    } catch {
      wrong = ["threw \(error)"]
    }
    #if os(Linux)
      print("changes \(cut.changes)")
    #endif
    for violation in wrong { print("violation \(violation)") }
    return wrong.isEmpty ? 0 : 1
  }
}
