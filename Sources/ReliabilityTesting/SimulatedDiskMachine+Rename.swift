/// Renaming, with the rules of Linux.
extension SimulatedMachine {
  mutating func rename(
    _ name: String, in directory: Descriptor?, to newName: String, in newDirectory: Descriptor?,
    _ rule: RenameRule
  ) throws(ErrorNumber) {
    if newName.utf8.contains(0) { throw .illegalByteSequence }
    let old = try place(name, in: directory, .meant)
    let new = try place(newName, in: newDirectory, .meant)
    if old.isDots { throw .busy }
    if new.isDots { throw rule == .noReplace ? .exists : .busy }
    guard let oldNode = old.node else { throw .notFound }
    if rule == .noReplace && new.node != nil { throw .exists }
    if rule == .exchange {
      guard let newNode = new.node else { throw .notFound }
      if new.wantsDirectory, try node(newNode).kind != .directory { throw .notADirectory }
    }
    let isDirectory = try node(oldNode).kind == .directory
    if !isDirectory && (old.wantsDirectory || (new.wantsDirectory && rule != .exchange)) {
      throw .notADirectory
    }
    if isDirectory && isInside(new.directory, oldNode) { throw .invalidArgument }
    if let newNode = new.node, isInside(old.directory, newNode) {
      throw rule == .exchange ? .invalidArgument : .directoryNotEmpty
    }
    if rule != .exchange, let newNode = new.node {
      if newNode == oldNode { return }
      try checkReplacing(newNode, byDirectory: isDirectory)
    }
    try requireLive(new.directory)
    let path = describe(newName, in: newDirectory)
    if rule == .exchange, let newNode = new.node {
      if newNode == oldNode { return }
      let changes = [
        NameChange(directory: new.directory, name: new.name, node: oldNode),
        NameChange(directory: old.directory, name: old.name, node: newNode),
      ]
      change(.names(changes, time: now), path: path)
      return
    }
    move(oldNode, isDirectory: isDirectory, from: old, to: new, path: path)
    if let replaced = new.node { release(replaced) }
  }

  private func checkReplacing(_ node: Int, byDirectory: Bool) throws(ErrorNumber) {
    let found = try self.node(node)
    if byDirectory {
      if found.kind != .directory { throw .notADirectory }
      if !found.names.isEmpty { throw .directoryNotEmpty }
    } else if found.kind == .directory {
      throw .isADirectory
    }
  }

  /// Moves a name.
  ///
  /// Between two directories a file's new name is never later on the medium than the loss of its old one, so a
  /// crash leaves it under one of them or both. A directory, and two names in one directory, move in one step.
  private mutating func move(
    _ node: Int, isDirectory: Bool, from old: Place, to new: Place, path: String
  ) {
    let added = NameChange(directory: new.directory, name: new.name, node: node)
    let removed = NameChange(directory: old.directory, name: old.name, node: nil)
    if isDirectory || old.directory == new.directory {
      // The old name first: a directory must never count two.
      change(.names([removed, added], time: now), path: path)
    } else {
      let first = change(.names([added], time: now), path: path)
      change(.names([removed], time: now), path: path, requires: first)
    }
  }

  /// Whether a directory is another one or below it.
  private func isInside(_ directory: Int, _ ancestor: Int) -> Bool {
    var current = directory
    while current != ancestor {
      if current == SimulatedImage.root { return false }
      guard let parent = visible[current]?.parent else { return false }
      current = parent
    }
    return true
  }
}
