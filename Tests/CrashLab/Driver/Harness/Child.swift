#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// A process of the lab, or one it runs.
///
/// Its standard input is a pipe whose other end nobody else has: it ends with the lab, however that ends.
final class Child {
  enum End: Hashable {
    case exited(Int32)
    case killed(Int32)
  }

  let process: Int32
  private var leash: Int32
  private var outputEnd: Int32
  private var ended: End?

  /// - Parameters:
  ///   - words: The program and its arguments; a program without a slash is looked for in the path.
  ///   - capturesOutput: Whether `finish` returns what it prints; otherwise that goes to the lab's output.
  init(_ words: [String], capturesOutput: Bool = false) {
    let input = Child.pipe()
    let output = capturesOutput ? Child.pipe() : nil
    var actions = unsafe posix_spawn_file_actions_t()
    unsafe posix_spawn_file_actions_init(&actions)
    defer { unsafe posix_spawn_file_actions_destroy(&actions) }
    unsafe posix_spawn_file_actions_adddup2(&actions, input.read, 0)
    if let output { unsafe posix_spawn_file_actions_adddup2(&actions, output.write, 1) }
    var arguments: [UnsafeMutablePointer<CChar>?] = unsafe words.map { unsafe strdup($0) } + [nil]
    defer { unsafe arguments.forEach { unsafe free($0) } }
    var identifier: pid_t = 0
    let failure = unsafe posix_spawnp(&identifier, words[0], &actions, nil, &arguments, environ)
    if failure != 0 { System.fail("can't start \(words[0])") }
    process = identifier
    close(input.read)
    leash = input.write
    outputEnd = -1
    if let output {
      close(output.write)
      outputEnd = output.read
    }
  }

  /// Another process of this program.
  convenience init(lab arguments: [String], capturesOutput: Bool = false) {
    self.init([CommandLine.arguments[0]] + arguments, capturesOutput: capturesOutput)
  }

  deinit {
    if ended == nil {
      System.kill(process)
      _ = wait()
    }
    release()
  }

  private func release() {
    if leash >= 0 { close(leash) }
    if outputEnd >= 0 { close(outputEnd) }
    leash = -1
    outputEnd = -1
  }

  /// Waits for its end and returns what it printed.
  func finish() -> (end: End, output: String) {
    var text: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 65536)
    while outputEnd >= 0 {
      let count = unsafe read(outputEnd, &buffer, buffer.count)
      if count > 0 { text += buffer[..<count] } else if count == 0 || errno != EINTR { break }
    }
    return (wait(), String(decoding: text, as: UTF8.self))
  }

  func wait() -> End {
    if let ended { return ended }
    var status: Int32 = 0
    while unsafe waitpid(process, &status, 0) < 0 && errno == EINTR {}
    let signal = status & 0x7f
    let end: End = signal == 0 ? .exited((status >> 8) & 0xff) : .killed(signal)
    ended = end
    release()
    return end
  }

  /// Whether it has ended by itself.
  var hasEnded: Bool {
    if ended != nil { return true }
    var status: Int32 = 0
    guard unsafe waitpid(process, &status, WNOHANG) == process else { return false }
    let signal = status & 0x7f
    ended = signal == 0 ? .exited((status >> 8) & 0xff) : .killed(signal)
    release()
    return true
  }

  /// Kills it with a signal that it can't catch, and waits until it is gone.
  func kill() {
    System.kill(process)
    _ = wait()
  }

  /// A pipe that is not passed on to other children: the lab starts them from one thread.
  private static func pipe() -> (read: Int32, write: Int32) {
    var ends: [Int32] = [0, 0]
    if unsafe pipe_(&ends) != 0 { System.fail("no pipe") }
    for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
    return (ends[0], ends[1])
  }
}

private func pipe_(_ ends: UnsafeMutablePointer<Int32>) -> Int32 { unsafe pipe(ends) }
