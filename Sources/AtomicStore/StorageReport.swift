public import ReliabilityIO

/// What a directory's file system can do, and which promises of this package hold there.
///
///     let report = try await StorageDoctor.examine("/data")
///     print(report.finding(.directorySync))      // supported
///     print(report.guarantee(.exclusiveLock))    // holds: …
public struct StorageReport: Hashable, Sendable {
  /// Something a file system may be able to do.
  public enum Feature: String, Hashable, Sendable, CaseIterable {
    /// Making files in the directory.
    case createFiles
    /// `fsync` of a file.
    case fileSync
    /// `fsync` of the directory, which makes new names durable.
    case directorySync
    /// Renaming a file over an existing one.
    case renameOver
    /// Renaming that refuses to replace (`RENAME_NOREPLACE`).
    case renameNoReplace
    /// Swapping two names in one step (`RENAME_EXCHANGE`).
    case renameExchange
    /// A second name for a file.
    case hardLinks
    /// Writes that go to the end (`O_APPEND`).
    case append
    /// `flock`, seen between two descriptors.
    case wholeFileLock
    /// Open file description locks on ranges of bytes, seen between two descriptors.
    case rangeLock
    /// Extended attributes of the `user.` kind.
    case attributes
    /// Names that differ only in the case of letters are different names.
    case caseSensitiveNames
  }

  /// What became of the attempt to use a feature.
  public enum Finding: Hashable, Sendable {
    /// It works.
    case supported
    /// The system says that it can't.
    case unsupported(ErrorNumber)
    /// The system says that it worked, but it had no effect: the dangerous kind.
    case ineffective
    /// The call failed for another reason, so nothing is known.
    case failed(SystemCallError)
    /// It was not tried, because no file could be made or something else that it needs failed.
    case untested
  }

  /// The directory as it was given.
  public let path: String

  /// The kind of file system, such as `ext4` or `nfs`; a hexadecimal number when it has no name here, `nil` when it
  /// can't be asked.
  public internal(set) var fileSystemName: String?

  /// Whether another machine may hold the data; `nil` when that can't be found out.
  public internal(set) var isNetwork: Bool?

  private var findings: [Feature: Finding] = [:]

  init(path: String) { self.path = path }

  /// What was found out about a feature.
  public func finding(_ feature: Feature) -> Finding { findings[feature] ?? .untested }

  mutating func record(_ feature: Feature, _ finding: Finding) { findings[feature] = finding }

  /// Whether a feature works.
  public func supports(_ feature: Feature) -> Bool { finding(feature) == .supported }
}

extension StorageReport.Finding: CustomStringConvertible {
  /// The finding in a few words.
  public var description: String {
    switch self {
    case .supported: "supported"
    case .unsupported(let number): "not supported (\(number.name ?? "errno \(number.rawValue)"))"
    case .ineffective: "claimed, but without effect"
    case .failed(let error): "failed: \(error)"
    case .untested: "not tested"
    }
  }
}

extension StorageReport: CustomStringConvertible {
  /// Features and guarantees, one a line.
  public var description: String {
    var text = "\(path): \(fileSystemName ?? "unknown file system")"
    if let isNetwork { text += isNetwork ? ", maybe on another machine" : ", local" }
    let width = Feature.allCases.reduce(0) { max($0, $1.rawValue.count) }
    for feature in Feature.allCases {
      text += "\n  \(padded(feature.rawValue, width))  \(finding(feature))"
    }
    for subject in Subject.allCases {
      text += "\n\(guarantee(subject))"
    }
    return text
  }

  /// The same as one JSON object: `path`, `file_system`, `is_network`, `features` and `guarantees`.
  public var json: [UInt8] {
    var json = JSONWriter()
    json.object { json in
      json.member("path", path)
      json.member("file_system", fileSystemName)
      json.member("is_network", isNetwork)
      json.key("features")
      json.object(writeFeatures)
      json.key("guarantees")
      json.object(writeGuarantees)
    }
    return json.finish()
  }
}

extension StorageReport {
  private func writeFeatures(to json: inout JSONWriter) {
    for feature in Feature.allCases {
      json.key(feature.rawValue)
      json.object(finding(feature).write)
    }
  }

  private func writeGuarantees(to json: inout JSONWriter) {
    for subject in Subject.allCases {
      let guarantee = guarantee(subject)
      json.key(subject.rawValue)
      json.object { json in
        json.member("verdict", guarantee.verdict.rawValue)
        json.member("because", guarantee.reason)
      }
    }
  }
}

extension StorageReport.Finding {
  fileprivate func write(to json: inout JSONWriter) {
    switch self {
    case .supported: json.member("result", "supported")
    case .unsupported(let number):
      json.member("result", "unsupported")
      json.member("errno", number.rawValue)
      json.member("name", number.name)
    case .ineffective: json.member("result", "ineffective")
    case .failed(let error):
      json.member("result", "failed")
      json.member("errno", error.number.rawValue)
      json.member("name", error.number.name)
      json.member("call", error.call)
    case .untested: json.member("result", "untested")
    }
  }
}

private func padded(_ text: String, _ width: Int) -> String {
  text + String(repeating: " ", count: width - text.count)
}
