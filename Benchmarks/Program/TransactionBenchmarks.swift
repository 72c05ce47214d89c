import AtomicStore

/// What it costs to change several files all or nothing, over changing each durably by itself.
enum TransactionBenchmarks {
  static let all: [Benchmark] = [
    benchmark("transaction/3-files", replacesThird: true),
    benchmark("transaction/3-appends", replacesThird: false),
  ]

  private static let line = String(repeating: "x", count: 199)
  private static let content = [UInt8](repeating: 0x61, count: 4096)

  private static func benchmark(_ name: String, replacesThird: Bool) -> Benchmark {
    .timed(name) {
      let directory = try ScratchDirectory()
      let store = try await TransactionStore(directory.path)
      let bytes = Array((line + "\n").utf8)
      var transaction = FileTransaction()
      try transaction.append("one", line)
      try transaction.append("two", line)
      if replacesThird {
        try transaction.replace("three", with: content)
      } else {
        try transaction.append("three", line)
      }
      let change = transaction
      let one = try RawAppend(directory.path + "/raw-one")
      let two = try RawAppend(directory.path + "/raw-two")
      let three = try RawAppend(directory.path + "/raw-three")
      return Comparison(
        subject: { iterations in
          for _ in 0..<iterations { try await store.commit(change) }
        },
        yardstick: (
          replacesThird ? "2 x write-fdatasync, replace" : "3 x write-fdatasync",
          { iterations in
            for _ in 0..<iterations {
              try one.append(bytes)
              try two.append(bytes)
              if replacesThird {
                try RawFile.replace(
                  directory.path + "/raw-document", in: directory.path, with: content)
              } else {
                try three.append(bytes)
              }
            }
          }
        ),
        cleanUp: { directory.remove() })
    }
  }
}
