import ReliabilityTestSupport

/// A file system of one megabyte, made and removed by whoever may: root.
enum SmallDisk {
  /// Runs a body with one.
  ///
  /// - Returns: Whether there was one for the body to run on.
  static func with(_ body: (_ path: String) async throws -> Void) async throws -> Bool {
    let directory = ScratchDirectory()
    guard try await run("mount", "-t", "tmpfs", "-o", "size=1m", "none", directory.path) else {
      return false
    }
    do {
      try await body(directory.path)
    } catch {
      _ = try await run("umount", directory.path)
      throw error
    }
    _ = try await run("umount", directory.path)
    return true
  }

  private static func run(_ command: String...) async throws -> Bool {
    await (try Command(command, program: "/usr/bin/env")).wait().status == 0
  }
}
