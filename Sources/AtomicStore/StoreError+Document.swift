extension StoreError.Code {
  /// The file is not the one that ``AtomicFile/Options/ifUnchanged`` names: someone else saved in between.
  public static let targetChanged = StoreError.Code(rawValue: "targetChanged")
  /// Another program, such as a file server, has a lease on the file and was asked to give it up: try again soon.
  public static let targetIsLeased = StoreError.Code(rawValue: "targetIsLeased")
  /// The file could not be read.
  public static let notReadable = StoreError.Code(rawValue: "notReadable")
  /// The backup without which a file is never written in place could not be made durable.
  public static let backupFailed = StoreError.Code(rawValue: "backupFailed")
  /// A file that was written in place is left with a part of the new content; its backup has the old one.
  ///
  /// The only error after which the target is not untouched.
  public static let writtenInPart = StoreError.Code(rawValue: "writtenInPart")
}

extension StoreError {
  /// What the codes above say to a person.
  var documentMessage: String? {
    switch code {
    case .targetChanged: "\(path) was changed by someone else in the meantime."
    case .targetIsLeased: "\(path) is in use by another program."
    case .notReadable: "\(path) can't be read."
    case .backupFailed: "\(path) was left as it is, because no backup of it could be made."
    case .writtenInPart: "\(path) was written in part only. Its backup has the old content."
    default: nil
    }
  }

  /// What to do about the codes above.
  var documentActions: [String]? {
    switch code {
    case .targetChanged: ["Read the file again and repeat the change."]
    case .targetIsLeased: ["Try again in a moment, or close the file in the other program."]
    case .backupFailed: ["Choose a place for the backup that can be written."]
    case .writtenInPart: ["Copy the backup over the file once the cause is gone."]
    default: nil
    }
  }
}
