internal import ReliabilityIO

/// What of the old file's metadata the new file has.
struct KeptMetadata {
  var ownerKept = true
  var attributesNotKept: [String] = []
  var checksum = PublishOutcome.Checksum.notRequested
}

/// Before the sync, so that it covers metadata too, and after the content, because writing drops set-user-id.
extension TemporaryFile {
  private static let accessControlList = "system.posix_acl_access"

  /// Gives the temporary file owner, attributes and mode of the file it will replace, or those of the options.
  ///
  /// The mode comes last: until then the file is private, and may be given attributes even if it will be read-only.
  func applyMetadata() throws(SystemCallError) -> KeptMetadata {
    var kept = KeptMetadata()
    // First: a file of another owner or mode may take no more attributes.
    if options.recordsChecksum { kept.checksum = recordChecksum() }
    guard let existing = target.existing else {
      if let mode = options.mode, mode != created.mode { try file.setMode(mode) }
      return kept
    }
    var isSameUser = created.user == existing.user
    var isSameGroup = created.group == existing.group
    if options.keepsOwner {
      (isSameUser, isSameGroup) = try keepOwner(of: existing)
      kept.ownerKept = isSameUser && isSameGroup
    }
    var mode = options.mode ?? existing.mode
    if !(isSameUser && isSameGroup) { mode = FileMode(rawValue: mode.rawValue & 0o1777) }
    // Bits meant for the old group must not serve another one.
    if !isSameGroup && options.mode == nil { mode = mode.withGroupLimitedToOthers }

    let old = try oldAttributes(isOurs: isSameUser)
    // With a list the mode's group bits are the list's mask, not what the group may do; and a list would undo a mode
    // that was asked for.
    var listIsSet = false
    if options.mode == nil, let list = old.accessControlList {
      if options.keepsAttributes {
        listIsSet =
          isSameUser && isSameGroup ? try set(Self.accessControlList, list.bytes) : false
        if !listIsSet { kept.attributesNotKept.append(Self.accessControlList) }
      }
      if !listIsSet { mode = mode.withGroupLimited(to: list.groupBits) }
    } else if options.mode == nil && old.mayHaveUnknownList {
      mode = mode.withGroupLimitedToOthers
    }
    if !listIsSet { try dropInheritedAccessControlList() }
    for (name, value) in old.user where try !set(name, value) {
      kept.attributesNotKept.append(name)
    }
    if listIsSet || mode != created.mode { try file.setMode(mode) }
    return kept
  }

  /// Sets an attribute.
  ///
  /// - Returns: `false` when the system refuses.
  private func set(_ name: String, _ value: [UInt8]) throws(SystemCallError) -> Bool {
    do throws(SystemCallError) {
      try file.setAttribute(name, value)
      return true
    } catch {
      guard isRefusal(error.number) else { throw error }
      return false
    }
  }

  /// Lets the file carry its checksum.
  ///
  /// Help, not content: where it fails, the save goes on and says so.
  private func recordChecksum() -> PublishOutcome.Checksum {
    do throws(SystemCallError) {
      let crc = try contentChecksum()
      let checksum = FileChecksum(crc: crc, size: size, modified: try file.status().modified)
      try file.setAttribute(FileChecksum.attribute, checksum.record)
      return .recorded
    } catch {
      return .notRecorded(error)
    }
  }

  /// Both at once where permitted, else the group alone: an owner may give a file to a group of theirs.
  private func keepOwner(
    of existing: FileStatus
  ) throws(SystemCallError) -> (user: Bool, group: Bool) {
    let sameUser = created.user == existing.user
    let sameGroup = created.group == existing.group
    if sameUser && sameGroup { return (true, true) }
    if try isPermitted({ () throws(SystemCallError) in
      try file.setOwner(user: existing.user, group: existing.group)
    }) {
      return (true, true)
    }
    if sameGroup || sameUser { return (sameUser, sameGroup) }
    let group = try isPermitted { () throws(SystemCallError) in
      try file.setOwner(user: nil, group: existing.group)
    }
    return (false, group)
  }

  private func isPermitted(
    _ body: () throws(SystemCallError) -> Void
  ) throws(SystemCallError) -> Bool {
    do throws(SystemCallError) {
      try body()
      return true
    } catch {
      guard isRefusal(error.number) || error.number == .invalidArgument else { throw error }
      return false
    }
  }

  /// The attributes of the old file that matter for the new one; none where they can't be read.
  private func oldAttributes(isOurs: Bool) throws(SystemCallError) -> OldAttributes {
    var found = OldAttributes()
    // Without attributes to keep, a list still says what the group's bits of the mode are worth.
    let groupHasBits = (target.existing?.mode.rawValue ?? 0) & 0o070 != 0
    guard options.keepsAttributes || (groupHasBits && options.mode == nil) else { return found }
    do throws(SystemCallError) {
      let old = try target.directory.open(target.name, [.read, .noFollow, .nonBlocking])
      for name in try old.attributeNames() {
        let isList = name == Self.accessControlList
        // The old content's checksum is nothing to the new content.
        let isKept = name.hasPrefix("user.") && name != FileChecksum.attribute
        guard isList || (options.keepsAttributes && isKept) else { continue }
        do throws(SystemCallError) {
          let value = try old.attribute(name)
          if isList {
            found.accessControlList = AccessControlList(bytes: value)
          } else {
            found.user.append((name, value))
          }
        } catch {
          // Removed by someone since it was listed.
          if error.number != .noAttribute { throw error }
        }
      }
      return found
    } catch {
      // A file that is gone, or that this user may replace but not read, keeps nothing.
      let isGone = error.number == .notFound || error.number == .symbolicLinkLoop
      guard isGone || isRefusal(error.number) else { throw error }
      return OldAttributes(mayHaveUnknownList: !isGone && !isOurs)
    }
  }

  /// A directory's default list would give users access to the new file that they did not have to the old one.
  private func dropInheritedAccessControlList() throws(SystemCallError) {
    do throws(SystemCallError) {
      guard try file.attributeNames().contains(Self.accessControlList) else { return }
      try file.removeAttribute(Self.accessControlList)
    } catch {
      guard isRefusal(error.number) || error.number == .noAttribute else { throw error }
    }
  }

  /// Whether the system says that it may or can not do this, rather than that it failed.
  private func isRefusal(_ number: ErrorNumber) -> Bool {
    switch number {
    case .notPermitted, .permissionDenied, .notSupported, .notImplemented: true
    default: false
    }
  }
}

/// What the old file has besides owner and mode.
private struct OldAttributes {
  var user: [(name: String, value: [UInt8])] = []
  var accessControlList: AccessControlList?
  /// The file could not be read.
  var mayHaveUnknownList = false
}

/// A POSIX access control list as the kernel gives it: a version, then entries of tag, permissions and id.
private struct AccessControlList {
  let bytes: [UInt8]

  /// What the owning group may do, as the bits of a mode; nothing when the list is not understood.
  var groupBits: UInt32 {
    let (header, entry, groupTag) = (4, 8, UInt8(0x04))
    for start in stride(from: header, through: bytes.count - entry, by: entry)
    where bytes[start] == groupTag && bytes[start + 1] == 0 {
      return UInt32(bytes[start + 2] & 0o7) << 3
    }
    return 0
  }
}

extension FileMode {
  /// The mode with the group's bits cut to those that everybody has.
  fileprivate var withGroupLimitedToOthers: FileMode {
    withGroupLimited(to: rawValue << 3)
  }

  /// The mode with the group's bits cut to some.
  fileprivate func withGroupLimited(to bits: UInt32) -> FileMode {
    FileMode(rawValue: rawValue & (~0o070 | bits))
  }
}
