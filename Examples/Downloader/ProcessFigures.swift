internal import Foundation
internal import Reliability

/// What the process itself uses, read at most once an interval.
final class ProcessFigures: MetricsSource {
  private struct Reading {
    var at: ContinuousClock.Instant?
    var samples: [MetricSample] = []
  }

  private let interval: Duration
  private let reading = Lock(Reading())

  /// - Parameter interval: How old figures may be.
  init(every interval: Duration) { self.interval = interval }

  func samples() -> [MetricSample] {
    let now = ContinuousClock.now
    let known = reading.withLock { reading in
      reading.at.map { now - $0 < interval } == true ? reading.samples : nil
    }
    if let known { return known }
    let samples = Self.read()
    reading.withLock { $0 = Reading(at: now, samples: samples) }
    return samples
  }

  private static func read() -> [MetricSample] {
    var samples: [MetricSample] = []
    var usage = rusage()
    #if canImport(Glibc)
      let whom = __rusage_who_t(RUSAGE_SELF.rawValue)
    #else
      let whom = RUSAGE_SELF
    #endif
    let isRead = unsafe getrusage(whom, &usage) == 0
    if isRead {
      let seconds =
        Double(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec)
        + Double(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6
      samples.append(
        MetricSample(
          name: "process_cpu_seconds_total", kind: .counter, value: seconds,
          help: "Processor time used"))
    }
    #if os(Linux)
      if let text = try? String(contentsOfFile: "/proc/self/statm", encoding: .utf8),
        let pages = text.split(separator: " ").dropFirst().first.flatMap({ Double($0) })
      {
        samples.append(
          MetricSample(
            name: "process_resident_memory_bytes", kind: .gauge,
            value: pages * Double(sysconf(Int32(_SC_PAGESIZE))), help: "Memory in use"))
      }
      if let names = try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd") {
        samples.append(
          MetricSample(
            name: "process_open_fds", kind: .gauge, value: Double(names.count),
            help: "Open descriptors"))
      }
    #endif
    return samples
  }
}
