import AtomicStore
import ReliabilityIO

/// The processes of `SaveLab`; each goes on until it is killed.
enum Saver {
  private static let names = ["a", "b", "c"]

  /// Saves in one call and in pieces, slowly enough for a sweeper to pass by.
  static func save(_ arguments: Arguments) async -> Int32 {
    let evidence = Evidence(arguments["evidence"])
    let serial = arguments.int("serial")
    var random = SeededGenerator(seed: UInt64(serial))
    for count in 0... {
      let step = serial * 100_000 + count
      let path = arguments["directory"] + "/" + names[count % names.count]
      let bytes = marked(step, count: Int.random(in: 0...60_000, using: &random))
      do {
        if count % 2 == 0 {
          try await AtomicFile.replace(path, with: bytes)
        } else {
          let file = try await AtomicFile(replacing: path)
          try await file.append(Array(bytes.prefix(bytes.count / 2)))
          System.sleep(microseconds: Int.random(in: 0...2000, using: &random))
          try await file.append(Array(bytes.suffix(from: bytes.count / 2)))
          try await file.publish()
        }
        evidence.done(step)
      } catch {
        evidence.refused(step, error)
      }
    }
    return 0
  }

  /// Removes what dead processes left.
  static func sweep(_ arguments: Arguments) async -> Int32 {
    let evidence = Evidence(arguments["evidence"])
    let place = Place(directory: arguments["directory"], fileSystem: .real)
    while true {
      let report = await Orphans.sweep(place)
      for failure in report.failures { evidence.violation("a sweep failed: \(failure)") }
      evidence.published(report.removed.count)
      System.sleep(microseconds: 500)
    }
  }

  /// Reads the files as any other program would.
  static func read(_ arguments: Arguments) -> Int32 {
    let evidence = Evidence(arguments["evidence"])
    for count in 0... {
      let name = names[count % names.count]
      if let bytes = Files.read(arguments["directory"] + "/" + name), !isWhole(bytes) {
        evidence.violation("\(name) was read with \(bytes.count) bytes that nobody saved")
      }
      if count % 64 == 0 { evidence.done(count) }
      System.sleep(microseconds: 200)
    }
    return 0
  }

  /// A step's bytes with their number in front and a mark at the end.
  private static func marked(_ step: Int, count: Int) -> [UInt8] {
    let body = Content.bytes(step, count: count)
    return Array("\(body.count) \(step)\n".utf8) + body
  }

  private static func isWhole(_ bytes: [UInt8]) -> Bool {
    guard let end = bytes.firstIndex(of: UInt8(ascii: "\n")) else { return false }
    let words = String(decoding: bytes[..<end], as: UTF8.self).split(separator: " ")
    guard words.count == 2, let count = Int(words[0]), let step = Int(words[1]) else {
      return false
    }
    return Array(bytes[(end + 1)...]) == Content.bytes(step, count: count)
  }
}
