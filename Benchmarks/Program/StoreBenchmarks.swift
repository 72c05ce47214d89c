import AtomicStore

/// What a careful save costs over the system calls it cannot do without.
enum StoreBenchmarks {
  static let all: [Benchmark] = [
    replace("10KB", bytes: 10_240),
    replace("1MB", bytes: 1_048_576),
  ]

  private static func replace(_ size: String, bytes: Int) -> Benchmark {
    .timed("store/replace-\(size)") {
      let directory = try ScratchDirectory()
      let content = [UInt8](repeating: 0x61, count: bytes)
      let path = directory.path + "/document"
      let rawPath = directory.path + "/raw"
      return Comparison(
        subject: { iterations in
          for _ in 0..<iterations { _ = try await AtomicFile.replace(path, with: content) }
        },
        yardstick: (
          "open-write-fsync-rename-fsync",
          { iterations in
            for _ in 0..<iterations {
              try RawFile.replace(rawPath, in: directory.path, with: content)
            }
          }
        ),
        cleanUp: { directory.remove() })
    }
  }
}
