internal import CReliability
internal import ErrorContext
internal import ReliabilityCore

/// Turns looks at a process tree into samples.
struct ProcessMeter {
  private static let kept = 32

  private(set) var samples: [ResourceSample] = []
  /// Resident memory at the last look, in bytes; after one that was not complete the least that it can be.
  private(set) var memory: Int64 = 0
  /// The largest so far.
  private(set) var peak: Int64 = 0
  private var cpu: Int64 = 0
  private var measuredAt = creliability_boot_nanoseconds()
  private var bytesRead: Int64?
  private var bytesWritten: Int64?

  /// - Parameter now: When the look began, on the machine's own clock: processor time passes on it, whatever a test's clock says.
  mutating func record(
    _ look: ProcessTree.Look, at: WallTime, elapsedSince now: Int64
  ) -> ResourceSample {
    if !look.isComplete { return recordLeast(look, at: at) }
    let elapsed = now - measuredAt
    // What processes used that ended without being awaited in the tree is gone: no step back.
    let used = max(0, look.cpuNanoseconds - cpu)
    let percent = elapsed > 0 ? Double(used) / Double(elapsed) * 100 : nil
    cpu = max(cpu, look.cpuNanoseconds)
    measuredAt = now
    memory = look.residentBytes
    peak = max(peak, memory)
    bytesRead = larger(bytesRead, look.bytesRead)
    bytesWritten = larger(bytesWritten, look.bytesWritten)
    return keep(at, cpuPercent: percent)
  }

  /// Some of the processes could not be read: of memory this is the least, and what used the processor nobody knows.
  private mutating func recordLeast(_ look: ProcessTree.Look, at: WallTime) -> ResourceSample {
    memory = max(memory, look.residentBytes)
    peak = max(peak, memory)
    bytesRead = larger(bytesRead, look.bytesRead)
    bytesWritten = larger(bytesWritten, look.bytesWritten)
    return keep(at, cpuPercent: nil)
  }

  private mutating func keep(_ at: WallTime, cpuPercent: Double?) -> ResourceSample {
    let sample = ResourceSample(
      at: at, cpuPercent: cpuPercent?.rounded(toPlaces: 1),
      memoryMegabytes: (Double(memory) / 1_048_576).rounded(toPlaces: 2),
      memoryPercent: Machine.percent(ofMemory: memory).rounded(toPlaces: 2),
      diskBytesRead: bytesRead, diskBytesWritten: bytesWritten)
    if samples.count == Self.kept { samples.removeFirst() }
    samples.append(sample)
    return sample
  }

  private func larger(_ old: Int64?, _ new: Int64?) -> Int64? {
    guard let new else { return old }
    return max(old ?? 0, new)
  }
}

extension Double {
  /// Rounded for people; what is not finite stays as it is.
  func rounded(toPlaces places: Int) -> Double {
    var factor = 1.0
    for _ in 0..<places { factor *= 10 }
    return (self * factor).rounded() / factor
  }
}

extension ResourceSample {
  /// For the timeline.
  var words: String {
    var parts: [String] = []
    if let memoryMegabytes { parts.append("\(memoryMegabytes) MB") }
    if let cpuPercent { parts.append("\(cpuPercent) % CPU") }
    return parts.joined(separator: ", ")
  }
}
