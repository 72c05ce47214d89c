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
    public init(
      durability: Durability = .full, createOnly: Bool = false, mode: FileMode? = nil,
      symbolicLinks: SymbolicLinkRule = .follow, hardLinks: HardLinkRule = .report,
      keepsOwner: Bool = true, keepsAttributes: Bool = true
    ) {
      self.durability = durability
      self.createOnly = createOnly
      self.mode = mode
      self.symbolicLinks = symbolicLinks
      self.hardLinks = hardLinks
      self.keepsOwner = keepsOwner
      self.keepsAttributes = keepsAttributes
    }
  }
}
