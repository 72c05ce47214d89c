import BackoffLock
import ReliabilityIO

/// A process that takes the lock again and again until it is killed; every third does so from two tasks.
enum LockContender {
  static func run(_ arguments: Arguments) async -> Int32 {
    let serial = arguments.int("serial")
    let folder = arguments["directory"]
    let diary = System.openToAppend(folder + "/diary")
    var backend: any FileSystemBackend = RealFileSystem()
    if let bug = arguments.bug { backend = BuggyFileSystem(bug, on: backend) }
    let lock = BackoffLock(folder + "/lock", fileSystem: FileSystem(backend))
    await withTaskGroup { group in
      for task in 0..<(serial % 3 == 0 ? 2 : 1) {
        group.addTask {
          await contend(
            lock, as: "\(serial).\(task)", folder + "/owner", diary, seed: serial * 2 + task)
        }
      }
    }
    return 1
  }

  private static func contend(
    _ lock: BackoffLock, as name: String, _ cell: String, _ diary: Int32, seed: Int
  ) async {
    var random = SeededGenerator(seed: UInt64(seed))
    let mark = Array(name.utf8) + [UInt8](repeating: 0, count: 32 - name.utf8.count)
    do {
      let owner = try OpenFile(cell, [.read, .write, .create], fileSystem: .real)
      while true {
        let hold = Int.random(in: 0...1500, using: &random)
        try await lock.withLock { token in
          System.append("enter \(name) \(token.epoch) \(token.turn) \(System.now)", to: diary)
          try owner.writeAll(mark.span, at: 0)
          System.append("inside \(name)", to: diary)
          System.sleep(microseconds: hold)
          let found = try [UInt8](capacity: 32) {
            (buffer: inout OutputSpan<UInt8>) throws(SystemCallError) in
            try owner.readAll(into: &buffer, at: 0)
          }
          if found != mark { System.append("overwritten \(name)", to: diary) }
          System.append("leave \(name)", to: diary)
        }
      }
    } catch {
      System.append("failed \(name) \(error)", to: diary)
    }
  }
}
