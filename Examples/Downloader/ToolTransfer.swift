internal import Foundation
internal import Reliability

/// An external tool under supervision, for the share of the files that goes to it; the built-in client for the others.
struct ToolTransfer: FileTransferMethod {
  let settings: ToolSettings
  let builtIn: BuiltInTransfer
  var limits: TransferLimits { builtIn.limits }
  let supervisor: ProcessSupervisor
  /// `nil` when the tool isn't told a quality.
  let ladder: FallbackLadder<MediaQuality>?
  /// How long the tool has to end when it is told to.
  var grace = Duration.seconds(10)

  init(_ settings: ToolSettings, builtIn: BuiltInTransfer) {
    self.settings = settings
    self.builtIn = builtIn
    supervisor = ProcessSupervisor(name: "tool", clock: builtIn.clock)
    let steps = FallbackLadder.mediaQuality.steps.filter { settings.qualities.contains($0.rung) }
    ladder =
      steps.isEmpty
      ? nil
      : FallbackLadder(
        name: "quality",
        settings.qualities.compactMap { quality in steps.first { $0.rung == quality } })
  }

  func transfer(
    of item: DownloadItem, to path: String,
    progress: @escaping @Sendable (_ received: Int, _ expected: Int?) -> Void
  ) -> any FileTransfer {
    guard settings.takes(item.url.absoluteString) else {
      return builtIn.transfer(of: item, to: path, progress: progress)
    }
    return ToolDownload(item, to: path, method: self, progress: progress)
  }

  /// The figures of the tool and of the ladder.
  var sources: [any MetricsSource] { [supervisor] + (ladder.map { [$0] } ?? []) }
}

extension BuiltInTransfer {
  /// This client, or the tool in front of it when there is one.
  func behind(_ tool: ToolSettings?) -> any FileTransferMethod {
    tool.map { ToolTransfer($0, builtIn: self) } ?? self
  }
}

/// How much memory is free for a program that is started now.
enum AvailableMemory {
  /// In bytes; `nil` when the system doesn't say.
  static var bytes: Int? {
    guard let file = FileManager.default.contents(atPath: "/proc/meminfo") else { return nil }
    let text = String(decoding: file, as: UTF8.self)
    guard let line = text.split(separator: "\n").first(where: { $0.hasPrefix("MemAvailable:") }),
      let kilobytes = line.split(separator: " ").dropFirst().first.flatMap({ Int($0) })
    else { return nil }
    return kilobytes << 10
  }
}
