import Foundation
import Testing

@Suite struct LibraryTests {
  @Test func libraryPrintsNothing() throws {
    for file in try SourceTree.swiftFiles("Sources") {
      let statements = file.text.split(separator: "\n")
        .filter { $0.firstMatch(of: /^\s*(print|debugPrint|dump|NSLog)\(/) != nil }
        .filter { !$0.contains("to: &") }
      #expect(statements.isEmpty, "\(file.path)")
    }
  }

  @Test func nothingIsLeftForLater() throws {
    // In two halves, so that this file does not find itself.
    let words = ["TO" + "DO", "FIX" + "ME", "XX" + "X", "HA" + "CK"]
    for folder in ["Sources", "Tests", "Examples", "Benchmarks"] {
      for file in try SourceTree.swiftFiles(folder) {
        let found = file.text.split { !$0.isLetter }.filter { words.contains(String($0)) }
        #expect(found.isEmpty, "\(file.path)")
      }
    }
  }

  @Test func nothingNamesTheMachineItWasWrittenOn() throws {
    for folder in ["Sources", "Tests", "Examples", "Benchmarks"] {
      for file in try SourceTree.swiftFiles(folder) {
        #expect(file.text.firstMatch(of: /\/(root|home)\//) == nil, "\(file.path)")
      }
    }
  }

  @Test func testsSleepNowhereButInRealTimeSuites() throws {
    for file in try SourceTree.swiftFiles("Tests")
    where !file.path.contains("RealTime") && !file.path.hasPrefix("Tests/CrashLab/") {
      let sleeps = file.text.split(separator: "\n")
        .filter { $0.firstMatch(of: /(Task\.sleep|Thread\.sleep|usleep\(|[^a-z."]sleep\()/) != nil }
        .filter { !$0.contains("clock.sleep") && !$0.contains("firstMatch") }
      #expect(sleeps.isEmpty, "\(file.path)")
    }
  }

  @Test func everyPublicModuleHasAGuideAndExportsTheVocabulary() throws {
    for module in try SourceTree.modules() where module != "CReliability" {
      if module != "ReliabilityIO" {
        let guide = try SourceTree.text("Sources/\(module)/\(module).docc/\(module).md")
        #expect(guide.hasPrefix("# ``\(module)``"))
      }
      if module != "ReliabilityCore" {
        let exports = try SourceTree.text("Sources/\(module)/Exports.swift")
        #expect(exports.contains("@_exported public import ReliabilityCore"))
      }
    }
  }

  @Test func everyModuleIsInTheReadmeAndTheChangelogHasANextVersion() throws {
    let readme = try SourceTree.text("README.md")
    for module in try SourceTree.modules()
    where !["CReliability", "ReliabilityIO"].contains(module) {
      #expect(readme.contains("`\(module)`"))
    }
    #expect(try SourceTree.text("CHANGELOG.md").contains("## [Unreleased]"))
  }
}
