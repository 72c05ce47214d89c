internal import CReliability

/// A child process and its descendants, found anew with every look at the process table.
///
/// To the tree belongs what is in the child's session, what has a parent in the tree, and what belonged to it before: the last keeps
/// processes whose parent has ended. A number that meanwhile belongs to another process is told by the start time.
struct ProcessTree {
  /// What one look found.
  struct Look {
    var processes = 0
    var cpuNanoseconds: Int64 = 0
    var residentBytes: Int64 = 0
    /// `nil` when the kernel did not say for any of the processes.
    var bytesRead: Int64?
    var bytesWritten: Int64?
    /// Whether every process of the tree could be read; else the sums are the least they can be.
    var isComplete = true
  }

  let root: Int32
  /// The start time of each, by number.
  private var members: [Int32: UInt64] = [:]
  private var pids: [Int32] = []
  private var table: [creliability_process] = []
  /// Once the child has been awaited its number may become another process's.
  private(set) var isRootAwaited = false

  /// What did not belong to the tree at an earlier look.
  ///
  /// It never will: nobody can move into another session or under another parent. Only its number may become another process's, and
  /// therefore every tenth sample, and each look before a signal, is at the whole table again.
  private var strangers: Set<Int32> = []
  private var samplesUntilWhole = 0
  /// Whether the last look saw everything; without free descriptors or memory it did not.
  private(set) var isWhole = true
  /// Whether a process of the tree was there at the last look and could not be read.
  private var hasUnreadableMember = false
  private let source: ProcessTable

  init(root: Int32, source: ProcessTable = .system) {
    self.root = root
    self.source = source
  }

  mutating func rootWasAwaited() {
    isRootAwaited = true
    members[root] = nil
  }

  /// Whether a process of the child's group is alive.
  ///
  /// A group exists as long as a zombie of it does, which some other process may be slow to await.
  mutating func isGroupAlive() -> Bool {
    guard creliability_signal_group(root, 0) == 0 else { return false }
    lookAtAll()
    // The group exists; who is in it could not be read.
    guard isWhole else { return true }
    return table.contains {
      members[$0.pid] != nil && $0.group == root && !$0.is_zombie.asBool
    }
  }

  /// Looks at all processes, before a signal is sent.
  ///
  /// - Complexity: O(number of processes of the machine), some 5 µs each.
  mutating func lookAtAll() {
    strangers.removeAll(keepingCapacity: true)
    readTable()
    findMembers()
  }

  /// Looks at the tree and measures it.
  ///
  /// - Complexity: O(number of processes of the machine), but only those of the tree, and every tenth time the others, are read.
  mutating func measure() -> Look {
    if samplesUntilWhole == 0 {
      strangers.removeAll(keepingCapacity: true)
      samplesUntilWhole = 10
    }
    samplesUntilWhole -= 1
    readTable()
    findMembers()
    var result = Look()
    result.isComplete = isWhole && !hasUnreadableMember
    for process in table where members[process.pid] != nil && !process.is_zombie.asBool {
      result.processes += 1
      result.residentBytes &+= process.resident_bytes
      var bytesRead: Int64 = 0
      var bytesWritten: Int64 = 0
      // A process that has ended, or that is not ours to look into, is left out.
      if unsafe creliability_process_io(process.pid, &bytesRead, &bytesWritten) == 0 {
        result.bytesRead = (result.bytesRead ?? 0) &+ bytesRead
        result.bytesWritten = (result.bytesWritten ?? 0) &+ bytesWritten
      }
    }
    // Processor time of a process that has ended, but was not awaited, is still to be seen there.
    for process in table where members[process.pid] != nil {
      result.cpuNanoseconds &+= process.cpu_nanoseconds
    }
    return result
  }

  /// Sends a signal to every process of the tree, zombies excepted, that is not in `group`.
  ///
  /// - Returns: How many were reached.
  func signal(_ number: Int32, except group: Int32?) -> Int {
    table.count { process in
      members[process.pid] != nil && !process.is_zombie.asBool && process.group != group
        && creliability_signal_process(process.pid, process.start, number) == 0
    }
  }

  private mutating func readTable() {
    if pids.isEmpty { pids = [Int32](repeating: 0, count: 1024) }
    var count = source.list(&pids)
    if count > pids.count {
      pids = [Int32](repeating: 0, count: count + 256)
      count = source.list(&pids)
    }
    table.removeAll(keepingCapacity: true)
    // What was started between the two lists may be missing from the second.
    isWhole = (0...pids.count).contains(count)
    hasUnreadableMember = false
    var process = creliability_process()
    for pid in pids.prefix(max(0, count)) where !strangers.contains(pid) {
      let failure = source.read(pid, &process)
      if failure == 0 {
        table.append(process)
      } else if creliability_is_shortage(failure) != 0 {
        isWhole = false
      } else if creliability_is_gone(failure) == 0, members[pid] != nil {
        // One that ended between the list and here has given its memory back; this one has not.
        hasUnreadableMember = true
      }
    }
  }

  private mutating func findMembers() {
    var found: [Int32: UInt64] = [:]
    // With another process under the child's number the session is another one's as well.
    let isSessionOurs = !isRootAwaited || !table.contains { $0.pid == root }
    func isMember(_ process: creliability_process) -> Bool {
      if process.pid == root { return !isRootAwaited }
      if isSessionOurs && process.session == root { return true }
      if members[process.pid] == process.start { return true }
      return found[process.parent] != nil
    }
    // A parent may come after its child in the table: until nothing is added.
    var isGrowing = true
    while isGrowing {
      isGrowing = false
      for process in table where found[process.pid] == nil && isMember(process) {
        found[process.pid] = process.start
        isGrowing = true
      }
    }
    // What could not be read has not ended.
    guard isWhole, !hasUnreadableMember else { return members.merge(found) { $1 } }
    members = found
    for process in table where found[process.pid] == nil { strangers.insert(process.pid) }
  }
}

/// Where processes are looked up: the system's table, or a test's.
struct ProcessTable {
  /// Writes the numbers of all processes, as many as fit.
  ///
  /// Returns how many there are, negative when nobody can say.
  var list: (inout [Int32]) -> Int
  /// Reads one; returns 0 or what went wrong.
  var read: (Int32, inout creliability_process) -> Int32

  static var system: ProcessTable {
    ProcessTable { pids in
      unsafe pids.withUnsafeMutableBufferPointer {
        unsafe Int(creliability_process_list($0.baseAddress!, Int32($0.count)))
      }
    } read: { pid, process in
      unsafe creliability_process_read(pid, &process)
    }
  }
}

extension Int32 {
  var asBool: Bool { self != 0 }
}
