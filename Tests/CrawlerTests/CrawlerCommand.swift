import Foundation
import ReliabilityTestSupport

extension Command {
  /// The built program.
  static let path = built("crawler", "ReliabilityCrawler")

  static var exists: Bool { FileManager.default.isExecutableFile(atPath: path) }

  /// Starts the program.
  convenience init(_ arguments: [String], readsOutput: Bool = true) throws {
    try self.init(arguments, program: Self.path, readsOutput: readsOutput)
  }

  static func run(_ arguments: [String]) async throws -> Result {
    await (try Command(arguments)).wait()
  }
}
