import Foundation
import Testing

@Suite struct ChecklistTests {
  private static let tests = URL(filePath: #filePath)
    .deletingLastPathComponent().deletingLastPathComponent()

  /// A test that is renamed takes its line of the checklist with it.
  @Test(arguments: Checklist.all)
  func everyLineNamesTestsThatExist(line: Checklist.Line) throws {
    #expect(!line.proofs.isEmpty)
    for (file, tests) in line.proofs {
      let text = try String(contentsOf: Self.tests.appending(path: file), encoding: .utf8)
      for test in tests {
        // With its attribute before it: a helper of this name would prove nothing.
        let pattern = try Regex("@Test[^{}]*func \(test)\\(")
        #expect(text.firstMatch(of: pattern) != nil, "\(file) has no test \(test)")
      }
    }
  }

  @Test func noDemandIsThereTwice() {
    let demands = Checklist.all.map(\.demand)
    #expect(Set(demands).count == demands.count)
  }
}
