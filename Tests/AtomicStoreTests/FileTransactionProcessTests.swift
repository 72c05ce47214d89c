import ReliabilityIO
import ReliabilityTestSupport
import Testing

@testable import AtomicStore

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#elseif canImport(Musl)
  import Musl
#endif

/// Several stores and several processes at one directory.
///
/// One at a time: waiting for a process may hold a thread of the pool, and there are as few as two.
@Suite(.serialized, .offThePool) struct FileTransactionProcessTests {
  /// Every transaction adds one line to each file and says in both which one it was: they never disagree.
  static func commit(_ count: Int, to path: String, label: String) async throws {
    let store = try await TransactionStore(path)
    for number in 0..<count {
      try await store.commit { transaction in
        try transaction.append("a", "\(label) \(number)")
        try transaction.append("b", "\(label) \(number)")
        try transaction.replace("last", with: Array("\(label) \(number)\n".utf8))
        try transaction.manifest("manifest.json")
      }
    }
  }

  private func check(_ scratch: ScratchDirectory, transactions: Int) throws {
    let a = try #require(scratch.read("a"))
    #expect(a == scratch.read("b"))
    let lines = a.split(separator: "\n")
    #expect(lines.count == transactions && Set(lines).count == transactions)
    #expect(lines.last.map { $0 + "\n" } == scratch.read("last").map { $0[...] })
  }

  @Test func storesOfOneProcessCommitOneAfterTheOther() async throws {
    let scratch = ScratchDirectory()
    try await withThrowingTaskGroup { group in
      for index in 0..<4 {
        group.addTask { try await Self.commit(10, to: scratch.path, label: "store \(index)") }
      }
      // A reader without a lock: whole transactions only.
      group.addTask {
        for _ in 0..<30 {
          guard
            let manifest = try? await TransactionStore.readManifest(
              "manifest.json", in: scratch.path)
          else { continue }
          let a = try await manifest.read("a")
          #expect(try await manifest.read("b") == a)
          #expect(a.last == UInt8(ascii: "\n"))
          #expect(a.count(where: { $0 == UInt8(ascii: "\n") }) == Int(manifest.transaction))
        }
      }
      try await group.waitForAll()
    }
    try check(scratch, transactions: 40)
    let manifest = try await TransactionStore.readManifest("manifest.json", in: scratch.path)
    #expect(manifest.transaction == 40)
  }

  @Test func tasksOfOneStoreCommitOneAfterTheOther() async throws {
    let scratch = ScratchDirectory()
    let store = try await TransactionStore(scratch.path)
    try await withThrowingTaskGroup { group in
      for index in 0..<20 {
        group.addTask {
          try await store.commit { transaction in
            try transaction.append("a", "\(index)")
            try transaction.append("b", "\(index)")
            try transaction.replace("last", with: Array("\(index)\n".utf8))
          }
        }
      }
      try await group.waitForAll()
    }
    try check(scratch, transactions: 20)
  }

  @Test func processesCommitOneAfterTheOther() async throws {
    let scratch = ScratchDirectory()
    let path: String = scratch.path
    async let first: Void = {
      await #expect(processExitsWith: .success) { [path = path as String] in
        try await FileTransactionProcessTests.commit(15, to: path, label: "one")
      }
      return ()
    }()
    try await Self.commit(15, to: path, label: "two")
    await first
    try check(scratch, transactions: 30)
  }

  @Test(arguments: [1, 2, 3, 5, 8])
  func aKilledProcessLeavesAllOfATransactionOrNothing(writes: Int) async throws {
    let scratch = ScratchDirectory()
    let path: String = scratch.path
    await #expect(processExitsWith: .signal(SIGKILL)) {
      [path = path as String, writes = writes as Int] in
      let store = try await TransactionStore(path)
      try await store.commit { transaction in
        try transaction.append("a", "before")
        try transaction.append("b", "before")
        try transaction.replace("last", with: Array("before\n".utf8))
      }
      let count = Tally()
      let disk = FaultyFileSystem(before: { call in
        if call == "write" || call == "rename", count.next() == writes + 2 {
          kill(getpid(), SIGKILL)
        }
      })
      let dying = try await TransactionStore(path, fileSystem: disk.fileSystem)
      for number in 0..<10 {
        try await dying.commit { transaction in
          try transaction.append("a", "\(number)")
          try transaction.append("b", "\(number)")
          try transaction.replace("last", with: Array("\(number)\n".utf8))
        }
      }
    }
    let store = try await TransactionStore(path)
    #expect(await store.problem == nil)
    let lines = try #require(scratch.read("a")).split(separator: "\n").count
    try check(scratch, transactions: lines)
    #expect(lines >= 1)
  }
}
