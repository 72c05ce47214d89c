/// What a check of files or of a state found.
package struct Violated: Error, CustomStringConvertible {
  package var description: String
  package init(_ description: String) { self.description = description }
}

/// The error a body throws, if any.
package func failure<Result>(_ body: () async throws -> Result) async -> (any Error)? {
  do {
    _ = try await body()
    return nil
  } catch {
    return error
  }
}

package func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }
