#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#elseif canImport(Musl)
  import Musl
#endif

/// A child that the module did not start and must leave alone.
struct OtherChild {
  struct NotStarted: Error {}
  private let pid: pid_t

  init() throws {
    var pid = pid_t()
    let shell = unsafe strdup("sh")
    let option = unsafe strdup("-c")
    let script = unsafe strdup("exit 7")
    defer {
      unsafe free(shell)
      unsafe free(option)
      unsafe free(script)
    }
    let arguments = unsafe [shell, option, script, nil]
    guard unsafe posix_spawn(&pid, "/bin/sh", nil, nil, arguments, environ) == 0 else {
      throw NotStarted()
    }
    self.pid = pid
  }

  func exitCode() -> Int32? {
    var status: Int32 = 0
    guard unsafe waitpid(pid, &status, 0) == pid, status & 0x7F == 0 else { return nil }
    return status >> 8 & 0xFF
  }
}
