internal import CReliability
internal import ReliabilityCore
internal import ReliabilityIO

/// A child that was started: its number and the descriptors to serve.
struct LaunchedProcess: Sendable {
  var pid: Int32
  /// -1 where the kernel has none.
  var pidfd: Int32
  var output: Int32
  var error: Int32
  /// The caller's own largest resident size, which the kernel counts as the child's until it executes the program.
  var inheritedPeak: Int64
  var startedAt: WallTime
  var start: Int64
  /// What the watched file had before.
  var watchedFileSize: Int64
}

/// Starts a child; what cannot be started leaves nothing behind.
struct ProcessLauncher: Sendable {
  var command: String
  var arguments: [String]
  var configuration: ProcessConfiguration
  var clock: NanosecondClock

  private struct Pipe {
    var reading: Int32
    var writing: Int32
  }

  /// Makes the pipes and starts the child.
  ///
  /// Blocks its thread until the child executes the program: not for the cooperative pool. The thread must live as long as the
  /// program, because the kernel ties the child's life to it where `endsWithParent` is set.
  func launch() throws(SystemCallError) -> LaunchedProcess {
    try refuseNul()
    // Before the child can write to it.
    let size = configuration.watchedPath.map {
      unsafe $0.withCString { unsafe creliability_file_size($0) }
    }
    var opened: [Int32] = []
    do throws(SystemCallError) {
      let input = creliability_null_input()
      guard input >= 0 else { throw .last("open", "/dev/null") }
      opened.append(input)
      let output = try pipe(&opened)
      let error = try pipe(&opened)
      let started = try spawn(input: input, output: output.writing, error: error.writing)
      for descriptor in [input, output.writing, error.writing] { creliability_close(descriptor) }
      return LaunchedProcess(
        pid: started.pid, pidfd: started.pidfd, output: output.reading, error: error.reading,
        inheritedPeak: creliability_own_peak_bytes(), startedAt: started.at, start: started.start,
        watchedFileSize: max(0, size ?? 0))
    } catch {
      for descriptor in opened { creliability_close(descriptor) }
      throw error
    }
  }

  private func pipe(_ opened: inout [Int32]) throws(SystemCallError) -> Pipe {
    var pipe = Pipe(reading: -1, writing: -1)
    let failure = unsafe creliability_pipe(&pipe.reading, &pipe.writing)
    guard failure == 0 else {
      throw SystemCallError(ErrorNumber(rawValue: failure), call: "pipe", path: "")
    }
    opened += [pipe.reading, pipe.writing]
    return pipe
  }

  private func spawn(
    input: Int32, output: Int32, error: Int32
  ) throws(SystemCallError) -> (pid: Int32, pidfd: Int32, at: WallTime, start: Int64) {
    var pid: Int32 = 0
    var pidfd: Int32 = -1
    var stage: Int32 = 0
    let at = WallTime.now
    let start = clock.now
    let candidates = CStrings(candidates)
    let arguments = CStrings([command] + arguments)
    let environment = environment.map(CStrings.init)
    let directory = configuration.workingDirectory.map { CStrings([$0]) }
    let failure = withExtendedLifetime((candidates, arguments, environment, directory)) {
      var plan = unsafe creliability_spawn_plan(
        candidates: candidates.pointer, arguments: arguments.pointer,
        environment: environment?.pointer ?? CStrings.inherited,
        directory: directory?.pointer[0], input: input, output: output, error: error,
        address_space: 0, ends_with_parent: configuration.endsWithParent ? 1 : 0)
      if let memory = configuration.limits.memory, memory.limitsAddressSpace {
        unsafe plan.address_space = UInt64(memory.bytes)
      }
      return unsafe creliability_spawn(&plan, &pid, &pidfd, &stage)
    }
    guard failure == 0 else {
      throw SystemCallError(
        ErrorNumber(rawValue: failure), call: Self.call(of: stage), path: path(of: stage))
    }
    return (pid, pidfd, at, start)
  }

  private static func call(of stage: Int32) -> String {
    switch Int(stage) {
    case creliability_spawn_stage_clone: "clone"
    case creliability_spawn_stage_session: "setsid"
    case creliability_spawn_stage_descriptors: "dup2"
    case creliability_spawn_stage_directory: "chdir"
    case creliability_spawn_stage_limit: "prlimit"
    default: "execve"
    }
  }

  private func path(of stage: Int32) -> String {
    Int(stage) == creliability_spawn_stage_directory
      ? configuration.workingDirectory ?? "" : command
  }

  /// A NUL would end a text early and start something else than what was asked for.
  private func refuseNul() throws(SystemCallError) {
    var texts = [command, configuration.workingDirectory ?? ""] + arguments
    texts += environment ?? []
    guard !texts.contains(where: { $0.utf8.contains(0) }) else {
      throw SystemCallError(.illegalByteSequence, call: "execve", path: command)
    }
  }

  /// `NAME=value` of every variable, `nil` for the caller's own.
  private var environment: [String]? {
    func lines(_ variables: [String: String]) -> [String] {
      variables.map { "\($0.key)=\($0.value)" }.sorted()
    }
    switch configuration.environment {
    case .inherited: return nil
    case .exactly(let variables): return lines(variables)
    case .updating(let changes):
      var variables = CStrings.callersVariables
      for (name, value) in changes { variables[name] = value }
      return lines(variables)
    }
  }

  /// The paths to try: the command itself when it has a slash, else one for each absolute directory of PATH.
  ///
  /// The PATH is the child's. Where it names the working directory, by an empty or relative entry, that entry is left out: it would
  /// run whatever lies there.
  private var candidates: [String] {
    guard !command.utf8.contains(0x2F) else { return [command] }
    guard !command.isEmpty else { return [] }
    let path: String?
    switch configuration.environment {
    case .inherited: path = CStrings.callersVariables["PATH"]
    case .exactly(let variables): path = variables["PATH"]
    case .updating(let changes):
      path = changes["PATH"] ?? CStrings.callersVariables["PATH"]
    }
    return (path ?? "/usr/local/bin:/usr/bin:/bin").split(separator: ":")
      .filter { $0.hasPrefix("/") }.map { "\($0)/\(command)" }
  }
}

/// An array of C strings, ended by a null pointer.
@safe final class CStrings {
  private let bytes: UnsafeMutablePointer<CChar>
  private let pointers: UnsafeMutablePointer<UnsafePointer<CChar>?>

  init(_ texts: [String]) {
    unsafe bytes = .allocate(capacity: texts.reduce(1) { $0 + $1.utf8.count + 1 })
    unsafe pointers = .allocate(capacity: texts.count + 1)
    var at = unsafe bytes
    for (index, text) in texts.enumerated() {
      unsafe pointers[index] = UnsafePointer(at)
      for byte in text.utf8 {
        unsafe at.pointee = CChar(bitPattern: byte)
        unsafe at += 1
      }
      unsafe at.pointee = 0
      unsafe at += 1
    }
    unsafe pointers[texts.count] = nil
  }

  deinit {
    unsafe bytes.deallocate()
    unsafe pointers.deallocate()
  }

  var pointer: UnsafePointer<UnsafePointer<CChar>?> { unsafe UnsafePointer(pointers) }

  /// The caller's own environment, as it is.
  static var inherited: UnsafePointer<UnsafePointer<CChar>?> {
    unsafe UnsafeRawPointer(creliability_environment())
      .assumingMemoryBound(to: UnsafePointer<CChar>?.self)
  }

  /// The caller's own environment by name; of a name that occurs twice the first counts.
  static var callersVariables: [String: String] {
    var variables: [String: String] = [:]
    var at = unsafe inherited
    while let line = unsafe at.pointee {
      let text = unsafe String(cString: line)
      if let separator = text.utf8.dropFirst().firstIndex(of: 0x3D) {
        let name = String(text[..<separator])
        if variables[name] == nil {
          variables[name] = String(text[text.index(after: separator)...])
        }
      }
      unsafe at += 1
    }
    return variables
  }
}
