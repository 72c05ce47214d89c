/// A file call that a workload made: which, and the how-manieth of its kind in its thread.
struct TracedCall: Hashable {
  let name: String
  let number: Int

  /// The errors that the call can really give.
  var errors: [String] {
    switch name {
    case "write", "pwrite64": ["ENOSPC", "EIO", "EDQUOT", "EFBIG", "EINTR"]
    case "fsync", "fdatasync": ["EIO", "ENOSPC", "EDQUOT"]
    case "openat": ["EMFILE", "ENOSPC", "EIO", "EINTR"]
    case "rename", "renameat", "renameat2", "linkat": ["EIO", "ENOSPC", "EDQUOT"]
    case "fchmod", "fchown", "fsetxattr", "mkdirat": ["EIO", "ENOSPC"]
    case "ftruncate", "fstat", "newfstatat", "pread64", "flock": ["EIO", "EINTR"]
    default: ["EINTR"]
    }
  }
}

/// What `strace -f -y` wrote about the file calls of one run.
struct Trace {
  static let calls = [
    "openat", "write", "pwrite64", "pread64", "fsync", "fdatasync", "rename", "renameat",
    "renameat2",
    "linkat", "unlinkat", "mkdirat", "fchmod", "fchown", "fsetxattr", "ftruncate", "flock", "fstat",
    "newfstatat", "close",
  ]

  /// The calls that were about a directory or what is in it, in order.
  private(set) var points: [TracedCall] = []

  init(_ text: String, about directory: String) {
    var counts: [String: Int] = [:]
    var seen: Set<TracedCall> = []
    for line in text.split(separator: "\n") where !line.contains("resumed>") {
      let words = line.split(separator: " ", maxSplits: 1, omittingEmptySubsequences: true)
      guard words.count == 2 else { continue }
      let rest = words[1].drop { $0 == " " }
      guard let bracket = rest.firstIndex(of: "(") else { continue }
      let name = String(rest[..<bracket])
      // Faults are counted in each thread on its own.
      let number = counts["\(words[0]) \(name)", default: 0] + 1
      counts["\(words[0]) \(name)"] = number
      guard line.contains(directory) else { continue }
      let call = TracedCall(name: name, number: number)
      if seen.insert(call).inserted { points.append(call) }
    }
  }
}
