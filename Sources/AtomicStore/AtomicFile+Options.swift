public import ReliabilityIO

extension AtomicFile {
  /// How a file is replaced.
  ///
  ///     var options = AtomicFile.Options()
  ///     options.mode = 0o600
  ///     options.durability = .ordered
  ///     try await AtomicFile.replace("token", with: secret, options: options)
  public struct Options: Hashable, Sendable {
    /// What to do with a symbolic link at the path.
    public enum SymbolicLinkRule: Hashable, Sendable {
      /// Replace the file the link leads to (through at most 40 links); a dangling link's destination is created.
      ///
      /// Another user's link in a shared sticky directory such as `/tmp` is refused with
      /// ``StoreError/Code/notPermitted``.
      case follow
      /// Throw ``StoreError/Code/targetIsSymbolicLink``.
      case refuse
    }

    /// What to do with a file that has more than one name.
    public enum HardLinkRule: Hashable, Sendable {
      /// Replace it under this name and say in the outcome how many names keep the old content.
      case report
      /// Throw ``StoreError/Code/targetHasHardLinks``.
      case refuse
    }

    /// What to do with a file that can't be replaced: a mount point, or a file in a directory that may not be written.
    public enum UnreplaceableRule: Hashable, Sendable {
      /// Throw ``StoreError/Code/targetIsMountPoint`` or ``StoreError/Code/directoryNotWritable``.
      case refuse
      /// Copy the old content to a backup, make that durable, and then write over the file itself.
      ///
      /// Not atomic: readers can see a part of it, and a crash can leave a part of it; the backup is whole. Never done
      /// unless asked for, and said in ``PublishOutcome/method``. Only by `replace` and documents, not by
      /// a file that is written in pieces.
      ///
      /// - Parameter at: The backup's path, which may be in another directory; `nil` is `<name>.bak` beside the file.
      case inPlaceWithBackup(at: String? = nil)
    }

    /// What must be true after a power cut.
    public var durability: Durability

    /// Whether the path must not exist yet: a file that appears meanwhile is never overwritten.
    ///
    /// A symbolic link counts as existing.
    public var createOnly: Bool

    /// The permissions of the new file, or `nil` to keep those of the file that is replaced and, where there is
    /// none, to let the system choose (`0666` without the bits of the umask).
    public var mode: FileMode?

    /// What to do with a symbolic link at the path.
    public var symbolicLinks: SymbolicLinkRule

    /// What to do with a file that has more than one name.
    public var hardLinks: HardLinkRule

    /// Whether the owner of the file that is replaced is kept where permitted.
    ///
    /// Where it is not, set-user-id and set-group-id are dropped, and the new group gets no more than others.
    public var keepsOwner: Bool

    /// Whether the `user.` extended attributes and the access control list of the file that is replaced are kept
    /// where permitted.
    ///
    /// A list stays with owner and group it was made for. Where it is not kept, the owning group gets what the list
    /// gave it.
    public var keepsAttributes: Bool

    /// How many previous versions are kept beside the file: `<name>.bak`, the newest, then `<name>.bak.2` and so on.
    ///
    /// 0 to 99. Kept by hard links, so they cost no copying, and the file is never missing. A backup that can't be made
    /// is said in ``PublishOutcome/backup`` and doesn't stop the save. Fewer than before leaves the older ones alone.
    public var backups: Int

    /// Which version of the file may be replaced, or `nil` for any.
    ///
    /// Looked at before anything is written and again just before the rename; another version, or none at all, throws
    /// ``StoreError/Code/targetChanged``. Between that look and the rename lie microseconds: only a lock that every
    /// writer takes, such as ``AtomicDocument``'s, closes the gap.
    public var ifUnchanged: FileVersion?

    /// Whether the new file carries a checksum in an extended attribute, for `AtomicFile.contents(of:)`.
    ///
    /// Where the file system keeps none, ``PublishOutcome/checksum`` says so and the save goes on.
    public var recordsChecksum: Bool

    /// Whether missing directories on the way to the file are made, and made durable with it.
    ///
    /// They stay when the save fails.
    public var createsDirectories: Bool

    /// What to do with a file that can't be replaced.
    public var unreplaceable: UnreplaceableRule

    /// Makes options; the defaults are those of a careful save.
    ///
    /// - Parameters:
    ///   - durability: What must be true after a power cut.
    ///   - createOnly: Whether the path must not exist yet.
    ///   - mode: The permissions of the new file; `nil` keeps those of the old one.
    ///   - symbolicLinks: What to do with a symbolic link at the path.
    ///   - hardLinks: What to do with a file that has more than one name.
    ///   - keepsOwner: Whether owner and group are kept where permitted.
    ///   - keepsAttributes: Whether `user.` attributes and access control list are kept where permitted.
    ///   - backups: How many previous versions are kept.
    ///   - ifUnchanged: Which version may be replaced; `nil` is any.
    ///   - recordsChecksum: Whether the new file carries a checksum.
    ///   - createsDirectories: Whether missing directories are made.
    ///   - unreplaceable: What to do with a file that can't be replaced.
    public init(
      durability: Durability = .full, createOnly: Bool = false, mode: FileMode? = nil,
      symbolicLinks: SymbolicLinkRule = .follow, hardLinks: HardLinkRule = .report,
      keepsOwner: Bool = true, keepsAttributes: Bool = true, backups: Int = 0,
      ifUnchanged: FileVersion? = nil, recordsChecksum: Bool = false,
      createsDirectories: Bool = false, unreplaceable: UnreplaceableRule = .refuse
    ) {
      self.durability = durability
      self.createOnly = createOnly
      self.mode = mode
      self.symbolicLinks = symbolicLinks
      self.hardLinks = hardLinks
      self.keepsOwner = keepsOwner
      self.keepsAttributes = keepsAttributes
      self.backups = backups
      self.ifUnchanged = ifUnchanged
      self.recordsChecksum = recordsChecksum
      self.createsDirectories = createsDirectories
      self.unreplaceable = unreplaceable
      requireValid(validate)
    }

    /// Checks values that came from outside the code.
    ///
    /// - Throws: `ConfigurationError` with the field and the rule that its value breaks.
    public func validate() throws(ConfigurationError) {
      try check((0...99).contains(backups), "backups", "must be 0 to 99")
      try check(
        !(createOnly && ifUnchanged != nil), "ifUnchanged", "contradicts createOnly")
    }
  }
}
