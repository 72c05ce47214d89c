extension StoreError.Code {
  /// The line to be appended holds a line break or a NUL.
  public static let invalidLine = StoreError.Code(rawValue: "invalidLine")
  /// The name is one that the store uses for itself.
  public static let reservedName = StoreError.Code(rawValue: "reservedName")
  /// One transaction asks for two kinds of change of one file.
  public static let conflictingChanges = StoreError.Code(rawValue: "conflictingChanges")
  /// The appended lines of one transaction take more than 16 MiB.
  public static let transactionTooLarge = StoreError.Code(rawValue: "transactionTooLarge")
  /// The manifest's content is not JSON, or a file in its place is no manifest.
  public static let invalidManifest = StoreError.Code(rawValue: "invalidManifest")
  /// A file to which a committed transaction appends has become shorter than it was.
  ///
  /// See ``TransactionStore/recover(_:)``.
  public static let externallyTruncated = StoreError.Code(rawValue: "externallyTruncated")
  /// A file to which a committed transaction appends was removed, or another one has its name, as after a log
  /// rotation.
  ///
  /// See ``TransactionStore/recover(_:)``.
  public static let externallyReplaced = StoreError.Code(rawValue: "externallyReplaced")
  /// Someone else has written where the bytes of a committed transaction belong.
  ///
  /// See ``TransactionStore/recover(_:)``.
  public static let externallyOverwritten = StoreError.Code(rawValue: "externallyOverwritten")
  /// The journal is damaged in the middle: the disk has lost what it had acknowledged.
  ///
  /// See ``TransactionStore/discardPending(in:fileSystem:clock:)``.
  public static let journalCorrupt = StoreError.Code(rawValue: "journalCorrupt")
  /// The journal was written by a later version of this package: it may only be read.
  public static let formatTooNew = StoreError.Code(rawValue: "formatTooNew")
  /// Someone who came later has written meanwhile: this holder had lost its lock without knowing.
  public static let fencedOff = StoreError.Code(rawValue: "fencedOff")
  /// The disk failed in a way that leaves open whether the transaction is committed.
  ///
  /// A new ``TransactionStore`` finds out.
  public static let outcomeUnknown = StoreError.Code(rawValue: "outcomeUnknown")
}

extension StoreError {
  /// The sentence for the errors of a transaction.
  var transactionMessage: String? {
    switch code {
    case .invalidLine: "A line for \(path) holds a line break or a NUL."
    case .reservedName: "\(path) is a name that the store uses for itself."
    case .conflictingChanges: "\(path) is changed in two ways by one transaction."
    case .transactionTooLarge: "The lines for \(path) are too many for one transaction."
    case .invalidManifest: "\(path) is not a manifest."
    case .externallyTruncated: "\(path) was cut by another program."
    case .externallyReplaced: "\(path) was moved or removed by another program."
    case .externallyOverwritten: "\(path) was written by another program meanwhile."
    case .journalCorrupt: "\(path) is damaged."
    case .formatTooNew: "\(path) was written by a later version."
    case .fencedOff: "\(path) was taken over by another process."
    case .outcomeUnknown: "Whether \(path) took the change is unknown: the disk failed."
    default: nil
    }
  }

  /// What to do about the errors of a transaction.
  var transactionActions: [String]? {
    switch code {
    case .invalidLine: ["Encode the record so that it has no line break."]
    case .reservedName: ["Use another name."]
    case .conflictingChanges: ["Use two transactions, or one kind of change."]
    case .transactionTooLarge: ["Use several transactions, or replace the file as a whole."]
    case .invalidManifest: ["Move the file away, or give the manifest another name."]
    case .externallyTruncated, .externallyReplaced, .externallyOverwritten:
      [
        "Put the file back, or call `recover(.appendAtEnd)` to write what is missing at its end.",
        "Before files are rotated, call `checkpoint()`.",
      ]
    case .journalCorrupt:
      ["Check the disk. `discardPending()` sets the damaged journal aside and begins a new one."]
    case .formatTooNew: ["Use a version of the program that is at least as new."]
    case .fencedOff:
      ["Open the store again. If its lock file was removed, `discardPending()` begins anew."]
    case .outcomeUnknown: ["Check the disk, then open the store again: that settles it."]
    default: nil
    }
  }
}
