internal import ReliabilityIO

/// The changes themselves. Each may be made any number of times and comes to the same.
extension TransactionStoreCore {
  /// Puts bytes where they belong.
  ///
  /// Not with `O_APPEND`: a second time must not add them twice.
  mutating func append(
    _ bytes: [UInt8], to path: String, inode: UInt64, at base: Int64, mayBeTorn: Bool
  ) throws(StoreError) -> UInt64 {
    let full = files.path(of: path)
    let file: TransactionStoreFiles.File
    if let status = try files.status(of: path) {
      if inode != 0 && status.inode != inode { throw StoreError(.externallyReplaced, path: full) }
      file = try files.file(path, inode: status.inode)
      if status.size < base { throw StoreError(.externallyTruncated, path: full) }
      // After a restart of the machine anything may be there: a write that was cut off leaves garbage.
      if !mayBeTorn, status.size > base,
        try !mayHold(bytes, file, at: base, size: status.size, full)
      {
        throw StoreError(.externallyOverwritten, path: full)
      }
    } else {
      if inode != 0 { throw StoreError(.externallyReplaced, path: full) }
      if base != 0 { throw StoreError(.externallyTruncated, path: full) }
      file = try files.make(path)
    }
    try storeCall(full) { () throws(SystemCallError) in
      try file.open.writeAll(bytes.span, at: base)
    }
    return file.inode
  }

  /// Whether what stands at the place of some bytes is a part of them, or the zeros of a write that was lost.
  ///
  /// Anything else was written by someone who does not know of the journal, and would be destroyed.
  func mayHold(
    _ bytes: [UInt8], _ file: TransactionStoreFiles.File, at base: Int64, size: Int64,
    _ path: String
  ) throws(StoreError) -> Bool {
    let count = min(bytes.count, Int(clamping: size - base))
    let found = try storeCall(path) { () throws(SystemCallError) in
      try [UInt8](capacity: count) { (buffer: inout OutputSpan<UInt8>) throws(SystemCallError) in
        try file.open.readAll(into: &buffer, at: base)
      }
    }
    return found.indices.allSatisfy { found[$0] == bytes[$0] || found[$0] == 0 }
  }

  /// Where the content of a replacement is.
  enum Content {
    case bytes([UInt8])
    case side(SideFile)
  }

  /// Replaces a file by rename, synced before: nobody meets an empty file after a power cut.
  ///
  /// The directory is synced by the checkpoint.
  mutating func replace(
    _ path: String, mode: FileMode?, with content: Content, isRepeated: Bool
  ) throws(StoreError) -> UInt64? {
    let full = files.path(of: path)
    let existing = try files.status(of: path)
    if isRepeated, case .bytes(let bytes) = content, existing?.size == Int64(bytes.count),
      try read(path) == bytes
    {
      return nil
    }
    let parent = try files.directory(of: path)
    let directory = try storeCall(full) { () throws(SystemCallError) in
      try parent.open.directory(".", mayBeUnreadable: false)
    }
    let target = Target(
      directory: directory, name: JournalEpoch.name(of: path), path: full, existing: existing)
    var file = try TemporaryFile(
      target: target,
      options: AtomicFile.Options(durability: .ordered, mode: mode, symbolicLinks: .refuse))
    do throws(StoreError) {
      switch content {
      case .bytes(let bytes): try file.append(bytes.span)
      case .side(let side): try copy(side, to: &file)
      }
    } catch {
      throw file.abandon(error.code, error.cause)
    }
    _ = try file.publish()
    return nil
  }

  private func copy(_ side: SideFile, to file: inout TemporaryFile) throws(StoreError) {
    let directory = files.root
    let path = files.path(of: side.name)
    let source = try storeCall(path) { () throws(SystemCallError) in
      try directory.open.open(side.name, [.read, .noFollow])
    }
    var checksum = CRC32C()
    while file.size < side.size {
      let count = Int(min(side.size - file.size, 1 << 20))
      let offset = file.size
      let part = try storeCall(path) { () throws(SystemCallError) in
        try [UInt8](capacity: count) { (buffer: inout OutputSpan<UInt8>) throws(SystemCallError) in
          try source.readAll(into: &buffer, at: offset)
        }
      }
      if part.isEmpty { break }
      checksum.update(part.span)
      try file.append(part.span)
    }
    guard file.size == side.size, checksum.value == side.checksum else {
      throw StoreError(.journalCorrupt, path: path)
    }
  }

  mutating func remove(_ path: String) throws(StoreError) -> UInt64? {
    let directory = try files.directory(of: path)
    if let error = directory.open.remove(JournalEpoch.name(of: path)) {
      throw StoreError(.callFailed, path: files.path(of: path), cause: error)
    }
    return nil
  }

  /// A file's whole content; `nil` when there is none.
  mutating func read(_ path: String) throws(StoreError) -> [UInt8]? {
    guard let status = try files.status(of: path) else { return nil }
    let directory = try files.directory(of: path)
    return try storeCall(files.path(of: path)) { () throws(SystemCallError) in
      let file = try directory.open.open(
        JournalEpoch.name(of: path), [.read, .noFollow, .nonBlocking])
      return try [UInt8](capacity: Int(clamping: status.size)) {
        (buffer: inout OutputSpan<UInt8>) throws(SystemCallError) in
        try file.readAll(into: &buffer, at: 0)
      }
    }
  }
}

extension Target {
  /// A name in an open directory that was looked at.
  init(
    directory: consuming OpenDirectory, name: String, path: String, existing: FileStatus?
  ) {
    self.directory = directory
    self.name = name
    self.path = path
    self.existing = existing
    backupLinks = 0
    newDirectoryNotSynced = nil
  }
}
