internal import ReliabilityCore
internal import ReliabilityIO

/// What a holder does with its claim.
extension LeaseSession {
  /// Finishes an acquisition: the record loses its first name and gets a token.
  ///
  /// - Returns: The token's number.
  func settle() throws(LeaseError) -> UInt64 {
    try calling { () throws(SystemCallError) in
      try? directory.unlink(name)
      let number = try drawToken()
      var record = record
      record.token = number
      try file.writeAll(record.tokenField.span, at: record.tokenOffset)
      try file.flushAsClosing()
      return number
    }
  }

  /// Draws a number that nobody drew before and that is higher than all drawn before.
  ///
  /// A number is drawn by making the file that is named after it, which only one can. The file with the highest number
  /// stays for ever. A number whose file is gone can be made again, but then a higher one is there, and is seen
  /// afterwards. Needs no lock.
  private func drawToken() throws(SystemCallError) -> UInt64 {
    var (highest, older) = try tokens()
    while true {
      let number = highest + 1
      if number > LeaseSession.maximumToken {
        throw SystemCallError(.outOfRange, call: "open", path: directory.path)
      }
      var isDrawn = true
      do throws(SystemCallError) {
        _ = try directory.open(
          LeaseSession.tokenName(number), [.write, .create, .exclusive, .noFollow], mode: 0o644)
      } catch {
        if error.number != .exists { throw error }
        isDrawn = false
      }
      let seen = try tokens()
      older = seen.older
      if isDrawn && seen.highest == number { break }
      highest = max(seen.highest, number)
    }
    // Before it is handed out: after a power cut of the server it must not be drawn again.
    do throws(SystemCallError) {
      try directory.sync()
    } catch {
      switch error.number {
      case .invalidArgument, .notSupported, .badDescriptor: break
      default: throw error
      }
    }
    for name in older { try? directory.unlink(name) }
    return highest + 1
  }

  /// What fits the upper 48 bits of a token's turn, with a bit to spare.
  private static let maximumToken: UInt64 = 1 << 47

  private static func tokenName(_ number: UInt64) -> String {
    let digits = String(number)
    return tokenPrefix + String(repeating: "0", count: 20 - digits.count) + digits
  }

  /// The highest number drawn, and the files of lower ones.
  private func tokens() throws(SystemCallError) -> (highest: UInt64, older: [String]) {
    var numbers: [UInt64] = []
    for name in try directory.entries() where name.hasPrefix(LeaseSession.tokenPrefix) {
      guard let number = UInt64(name.dropFirst(LeaseSession.tokenPrefix.count)),
        number <= LeaseSession.maximumToken, LeaseSession.tokenName(number) == name
      else { continue }
      numbers.append(number)
    }
    numbers.sort()
    return (numbers.last ?? 0, numbers.dropLast().map { LeaseSession.tokenName($0) })
  }

  enum Renewal: Sendable {
    case renewed
    case gone
    case failed(SystemCallError)
  }

  /// Sets the claim's time to now and sees whether it is still there.
  func renew() -> Renewal {
    do throws(SystemCallError) {
      try lease.fileSystem.perform("futimens", file.path) { backend throws(ErrorNumber) in
        try backend.touch(file.descriptor)
      }
      return try isOurs() ? .renewed : .gone
    } catch {
      return error.number == .staleHandle ? .gone : .failed(error)
    }
  }

  /// Whether the claim is the file we made.
  func isOurs() throws(SystemCallError) -> Bool {
    guard let claim = try directory.status(of: LeaseSession.claim) else { return false }
    return try claim.isSameFile(as: file.status())
  }

  enum Removal: Sendable {
    case removed
    /// Somebody else has the guard: try again.
    case guardBusy
    /// The claim is not ours any more.
    case notOurs
    case failed(SystemCallError)
  }

  /// Removes the claim if it is ours, under the guard: without it, a contender that is about to remove it could carry off
  /// the next holder's.
  ///
  /// - Parameter mayBeStale: Whether others may be taking the claim over. Without a lock nobody removes it then.
  func remove(mayBeStale: Bool) -> Removal {
    do throws(LeaseError) {
      guard let door = try openGuard() else { return .guardBusy }
      return try remove(behind: door, mayBeStale: mayBeStale)
    } catch {
      return .failed(
        error.cause ?? SystemCallError(.notSupported, call: "flock", path: lease.path))
    }
  }

  private func remove(
    behind door: borrowing Guard, mayBeStale: Bool
  ) throws(LeaseError) -> Removal {
    do throws(SystemCallError) {
      guard try isOurs() else { return .notOurs }
      if door.isLocked || !mayBeStale { try directory.unlink(LeaseSession.claim) }
      return .removed
    } catch {
      throw LeaseError(.callFailed, path: lease.path, cause: error)
    }
  }

  /// Removes the record of a contender that gave up.
  func withdraw() { try? directory.unlink(name) }

  /// How old what a crash left in the directory must be to be removed: no contender is silent for so long.
  private static let litterAge: Int64 = 86_400 * 1_000_000_000

  /// Removes records and claims that crashed contenders left.
  func clean() {
    guard let now = try? file.status().modified, let names = try? directory.entries() else {
      return
    }
    for name in names
    where name.hasPrefix(LeaseSession.recordPrefix) || name.hasPrefix(LeaseSession.brokenPrefix) {
      guard let status = try? directory.status(of: name), status.kind == .regular,
        now &- max(status.modified, status.changed) > LeaseSession.litterAge
      else { continue }
      try? directory.unlink(name)
    }
  }
}
