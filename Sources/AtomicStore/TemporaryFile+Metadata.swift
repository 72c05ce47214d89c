internal import ReliabilityIO

/// What of the old file's metadata the new file has.
struct KeptMetadata {
  var ownerKept = true
  var attributesNotKept: [String] = []
}

/// Before the sync, so that it covers metadata too, and after the content, because writing drops set-user-id.
extension TemporaryFile {
  private static let accessControlList = "system.posix_acl_access"

  /// Gives the temporary file owner, attributes and mode of the file it will replace, or those of the options.
  func applyMetadata() throws(SystemCallError) -> KeptMetadata {
    var kept = KeptMetadata()
    guard let existing = target.existing else {
      if let mode = options.mode { try setMode(mode) }
      return kept
    }
    var mode = options.mode ?? existing.mode
    if options.keepsOwner {
      let (user, group) = try keepOwner(of: existing)
      kept.ownerKept = user && group
      if !kept.ownerKept { mode = FileMode(rawValue: mode.rawValue & 0o1777) }
      // Bits meant for the old group must not serve another one.
      if !group && options.mode == nil { mode = mode.withGroupLimitedToOthers }
    } else if !isOwned(likeFile: existing) {
      mode = FileMode(rawValue: mode.rawValue & 0o1777)
      if existing.group != created.group && options.mode == nil {
        mode = mode.withGroupLimitedToOthers
      }
    }
    // A list holds the group's bits, so it would undo a mode that was asked for.
    let attributes =
      options.keepsAttributes
      ? try attributesToKeep(withAccessControlList: kept.ownerKept && options.mode == nil) : []
    if !attributes.contains(where: { $0.name == Self.accessControlList }) {
      try dropInheritedAccessControlList()
    }
    try setMode(mode)
    for (name, value) in attributes {
      do throws(SystemCallError) {
        try file.setAttribute(name, value)
      } catch {
        guard isRefusal(error.number) else { throw error }
        kept.attributesNotKept.append(name)
      }
    }
    return kept
  }

  private func setMode(_ mode: FileMode) throws(SystemCallError) {
    if mode != created.mode { try file.setMode(mode) }
  }

  private func isOwned(likeFile other: FileStatus) -> Bool {
    created.user == other.user && created.group == other.group
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

  /// The `user.` attributes and the access control list of the old file; none where they can't be read.
  private func attributesToKeep(
    withAccessControlList: Bool
  ) throws(SystemCallError) -> [(name: String, value: [UInt8])] {
    do throws(SystemCallError) {
      let old = try target.directory.open(target.name, [.read, .noFollow, .nonBlocking])
      var kept: [(name: String, value: [UInt8])] = []
      for name in try old.attributeNames()
      where name.hasPrefix("user.") || (withAccessControlList && name == Self.accessControlList) {
        do throws(SystemCallError) {
          kept.append((name, try old.attribute(name)))
        } catch {
          // Removed by someone since it was listed.
          if error.number != .noAttribute { throw error }
        }
      }
      return kept
    } catch {
      // A file that is gone, or that this user may replace but not read, keeps nothing.
      let isGone = error.number == .notFound || error.number == .symbolicLinkLoop
      guard isGone || isRefusal(error.number) else { throw error }
      return []
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

extension FileMode {
  /// The mode with the group's bits cut to those that everybody has.
  fileprivate var withGroupLimitedToOthers: FileMode {
    FileMode(rawValue: rawValue & ~0o070 | (rawValue & 0o070 & (rawValue << 3)))
  }
}
