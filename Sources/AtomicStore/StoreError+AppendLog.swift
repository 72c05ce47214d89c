extension StoreError.Code {
  /// The bytes can't be a record: not one JSON object, or with a newline or NUL inside.
  public static let invalidRecord = Self(rawValue: "invalidRecord")
  /// The record is larger than ``AppendLog/Options/maximumRecordSize``.
  public static let recordTooLarge = Self(rawValue: "recordTooLarge")
  /// The file is no log, or one of another content.
  public static let notALog = Self(rawValue: "notALog")
  /// The log was made by a later version, which may be read here but not written.
  public static let newerFormat = Self(rawValue: "newerFormat")
  /// The log was opened to read only.
  public static let readOnly = Self(rawValue: "readOnly")
  /// The position is of another generation of the log, or is none where a record begins.
  public static let stalePosition = Self(rawValue: "stalePosition")
  /// The records may be in the log or not, now or after a power cut.
  ///
  /// Before appending them again, look for them.
  public static let appendUncertain = Self(rawValue: "appendUncertain")
  /// The store has one owner at a time, and that is another process or another instance; see ``StoreError/owner``.
  public static let inUse = Self(rawValue: "inUse")
}

extension StoreError {
  /// The sentences of the codes of logs.
  var logMessage: String? {
    switch code {
    case .invalidRecord: "What was to be appended to \(path) is not one JSON object on one line."
    case .recordTooLarge: "The record is too large for \(path)."
    case .notALog: "\(path) is not a log of this kind and was left as it is."
    case .newerFormat: "\(path) was made by a newer version of this program and is only read."
    case .readOnly: "\(path) was opened to be read only."
    case .stalePosition: "The position in \(path) is no longer valid: the log was compacted."
    case .appendUncertain:
      "It is not known whether the record was saved to \(path): the disk reported a failure."
    case .inUse:
      owner.map { "\(path) is in use by \($0)." } ?? "\(path) is in use by another process."
    default: nil
    }
  }

  /// What to do about the codes of logs.
  var logActions: [String]? {
    switch code {
    case .invalidRecord: ["Append one JSON object without line breaks at a time."]
    case .recordTooLarge: ["Save large content to a file of its own and append its name."]
    case .notALog: ["Use another name, or check that the right file was given."]
    case .newerFormat: ["Update this program."]
    case .readOnly: ["Open the log with write access."]
    case .stalePosition: ["Read the log from its beginning."]
    case .appendUncertain: ["Look for the record before saving it again.", "Check the disk."]
    case .inUse: ["Close it there first, or open it to read only."]
    default: nil
    }
  }
}
