import ReliabilityTestSupport
import ReliabilityTesting
import Testing

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#elseif canImport(Musl)
  import Musl
#endif

/// The same calls on the machine's own file system and on the simulated disk: same results, same error numbers.
@Suite(.offThePool) struct SimulatedDiskDifferentialTests {
  /// One file system and what it has open: the same step means the same on both.
  private final class Side {
    let files: any FileSystemBackend
    let base: Descriptor
    var open: [Descriptor] = []

    init(_ files: any FileSystemBackend, _ directory: String) throws(ErrorNumber) {
      self.files = files
      base = try files.open(directory, in: nil, [.read, .directory], mode: 0)
    }

    func describe(_ status: FileStatus) -> String {
      // The size of a directory is the file system's own affair, and so is how it counts links to one.
      let isFile = status.kind == .regular
      return "\(status.kind) \(status.mode) \(isFile ? "\(status.size) \(status.links)" : "")"
        + " \(status.user) \(status.group)"
    }
  }

  private static let names = [
    "a", "b", "d", "d/a", "d/b", "e", "d/e", "d/e/c", "l", "m", "d/l", "a/", "d/", "l/a", "./a",
    "d/../b", "e/.", "..", ".", "", "missing/a", "l/", "d/./a",
  ]

  private static func text(_ error: ErrorNumber) -> String { error.name ?? "\(error.rawValue)" }

  /// Makes one random call and says what came of it.
  private static func step(
    _ side: Side, _ generator: inout SeededGenerator
  ) -> (call: String, result: String) {
    func any<T>(_ choices: [T]) -> T { choices[Int(generator.next() % UInt64(choices.count))] }
    func flip() -> Bool { generator.next() % 2 == 0 }
    let files = side.files
    let kind = Int(generator.next() % 30)
    let (name, other) = (any(names), any(names))
    let slot = Int(generator.next() % 6)
    let (first, second) = (flip(), flip())
    let size = any([0, 1, 5, 511, 600, 2000])
    let offset = any([0, 3, 512, 1000])
    let mode = FileMode(rawValue: any([0o600, 0o644, 0o4755, 0o2755, 0o2644, 0o777]))
    let byte = UInt8(truncatingIfNeeded: generator.next())
    let file =
      slot < side.open.count ? side.open[slot] : Descriptor(rawValue: 1_000_000)
    let value = [UInt8](repeating: byte, count: size)
    let attribute = any(["user.one", "user.two", "one", "user.", "strange.x", "trusted.one"])
    do throws(ErrorNumber) {
      switch kind {
      case 0...5:
        var flags: OpenFlags = any([[.read], [.write], [.read, .write], [.read, .write, .append]])
        let more = any([0, 1, 2, 3, 4, 5, 6, 7, 8])
        if more < 5 { flags.insert(.create) }
        if more == 1 { flags.insert(.exclusive) }
        if more == 2 || more == 5 { flags.insert(.noFollow) }
        if more == 6 { flags.insert(.directory) }
        if more == 7 { flags.formUnion([.nameOnly, .directory]) }
        let call = "open \(name) \(flags.rawValue) \(mode)"
        do throws(ErrorNumber) {
          let opened = try files.open(name, in: side.base, flags, mode: mode)
          side.open.append(opened)
          if side.open.count > 6 { try files.close(side.open.removeFirst()) }
          return (call, "ok")
        } catch {
          return (call, text(error))
        }
      case 6:
        if slot < side.open.count { side.open.remove(at: slot) }
        try files.close(file)
        return ("close \(slot)", "ok")
      case 7:
        let copy = try files.duplicate(file)
        side.open.append(copy)
        if side.open.count > 6 { try files.close(side.open.removeFirst()) }
        return ("dup \(slot)", "ok")
      case 8, 9, 10:
        let count = try files.write(file, value.span, at: first ? Int64(offset) : nil)
        return ("write \(slot) \(size) \(first ? "\(offset)" : "")", "\(count)")
      case 11, 12:
        var read = 0
        let found = try [UInt8](capacity: size) {
          (buffer: inout OutputSpan<UInt8>) throws(ErrorNumber) in
          read = try files.read(file, into: &buffer, at: first ? Int64(offset) : nil)
        }
        return ("read \(slot) \(size)", "\(read) \(found)")
      case 13:
        try files.truncate(file, to: first ? Int64(offset) : -1)
        return ("truncate \(slot)", "ok")
      case 14:
        try files.sync(file, first ? .full : .data)
        return ("sync \(slot)", "ok")
      case 15:
        let status = try files.status(file)
        return ("fstat \(slot)", side.describe(status))
      case 16:
        let status = try files.status(of: name, in: side.base, followingLink: first)
        return ("stat \(name) \(first)", side.describe(status))
      case 17:
        try files.setMode(file, mode)
        return ("chmod \(slot) \(mode)", "ok")
      case 18:
        try files.setOwner(file, user: first ? 0 : nil, group: second ? 0 : nil)
        return ("chown \(slot)", "ok")
      case 19:
        try files.lock(file, any([.shared, .exclusive, .unlock]))
        return ("flock \(slot)", "ok")
      case 20:
        let range = Int64(offset)..<Int64(offset + size)
        try files.lockRange(file, range, any([.shared, .exclusive, .unlock]), waits: false)
        return ("lock range \(slot)", "ok")
      case 21:
        let range = Int64(offset)..<Int64(offset + size)
        let locked = try files.isRangeLocked(file, range, against: first ? .shared : .exclusive)
        return ("is locked \(slot)", "\(locked)")
      case 22:
        let rule: RenameRule = any([.replace, .replace, .replace, .noReplace, .exchange])
        do throws(ErrorNumber) {
          try files.rename(name, in: side.base, to: other, in: side.base, rule)
          return ("rename \(name) \(other) \(rule)", "ok")
        } catch {
          return ("rename \(name) \(other) \(rule)", text(error))
        }
      case 23:
        do throws(ErrorNumber) {
          try files.link(name, in: side.base, to: other, in: side.base)
          return ("link \(name) \(other)", "ok")
        } catch {
          return ("link \(name) \(other)", text(error))
        }
      case 24:
        do throws(ErrorNumber) {
          try files.makeSymbolicLink(name, in: side.base, destination: other)
          return ("symlink \(name) -> \(other)", "ok")
        } catch {
          return ("symlink \(name) -> \(other)", text(error))
        }
      case 25:
        return ("readlink \(name)", try files.readLink(name, in: side.base))
      case 26:
        do throws(ErrorNumber) {
          if first {
            try files.unlink(name, in: side.base)
          } else {
            try files.removeDirectory(name, in: side.base)
          }
          return ("\(first ? "unlink" : "rmdir") \(name)", "ok")
        } catch {
          return ("\(first ? "unlink" : "rmdir") \(name)", text(error))
        }
      case 27:
        do throws(ErrorNumber) {
          try files.makeDirectory(name, in: side.base, mode: mode)
          return ("mkdir \(name)", "ok")
        } catch {
          return ("mkdir \(name)", text(error))
        }
      case 28:
        let found = try files.entries(of: first ? side.base : file)
        return ("readdir \(first ? -1 : slot)", "\(found.sorted())")
      default:
        switch any([0, 1, 2, 3]) {
        case 0: try files.setAttribute(file, attribute, value.span)
        case 1: try files.removeAttribute(file, attribute)
        case 2: return ("getxattr \(attribute)", "\(try files.attribute(file, attribute))")
        default:
          let found = try files.attributeNames(file).filter { !$0.hasPrefix("security.") }
          return ("listxattr", "\(found.sorted())")
        }
        return ("xattr \(slot) \(attribute)", "ok")
      }
    } catch {
      return ("call \(kind) on \(slot) or \(name)", text(error))
    }
  }

  /// Everything under a directory, for people.
  private static func tree(_ side: Side) -> [String] {
    var result: [String] = []
    func visit(_ directory: Descriptor, _ path: String) {
      for name in ((try? side.files.entries(of: directory)) ?? []).sorted() {
        guard let status = try? side.files.status(of: name, in: directory, followingLink: false)
        else { continue }
        result.append("\(path)\(name): \(side.describe(status))")
        if status.kind == .directory,
          let child = try? side.files.open(name, in: directory, [.read, .directory], mode: 0)
        {
          visit(child, path + name + "/")
          try? side.files.close(child)
        } else if status.kind == .symbolicLink {
          result.append((try? side.files.readLink(name, in: directory)) ?? "?")
        } else if let file = try? side.files.open(name, in: directory, [.read], mode: 0) {
          let content = try? [UInt8](capacity: 10_000) {
            (buffer: inout OutputSpan<UInt8>) throws(ErrorNumber) in
            _ = try side.files.read(file, into: &buffer, at: 0)
          }
          result.append("\(content ?? [])")
          try? side.files.close(file)
        }
      }
    }
    visit(side.base, "")
    return result
  }

  @Test(.enabled(if: geteuid() == 0, "the simulated user is the superuser"), arguments: 1...20)
  func randomCallsHaveTheSameResultsAsOnTheMachinesFileSystem(seed: Int) throws {
    let scratch = ScratchDirectory()
    let path = scratch.path
    let machine = RealFileSystem()
    var configuration = SimulatedDisk.Configuration()
    configuration.umask = FileMode(rawValue: 0o022)
    let disk = SimulatedDisk(configuration: configuration)
    // Deep enough that no chain of links leads out of the scratch directory.
    var inner = ""
    for _ in 1...20 {
      inner += "/x"
      try machine.makeDirectory(path + inner, in: nil, mode: 0o777)
    }
    try disk.makeDirectory("base" + inner)

    let real = try Side(machine, path + inner)
    let simulated = try Side(disk.fileSystem.backend, "base" + inner)
    defer {
      for file in real.open { try? machine.close(file) }
      try? machine.close(real.base)
    }
    var generators = (
      SeededGenerator(seed: UInt64(seed)), SeededGenerator(seed: UInt64(seed))
    )
    for number in 1...250 {
      let expected = Self.step(real, &generators.0)
      let found = Self.step(simulated, &generators.1)
      try #require(
        expected == found, "seed \(seed), step \(number): \(expected.call)")
    }
    #expect(Self.tree(real) == Self.tree(simulated), "seed \(seed)")
  }
}
