import Foundation
import Testing

@Suite struct ManifestTests {
  /// Who may import whom: the promise to adopters that a single module brings no more than this.
  static let table: [String: Set<String>] = [
    "CReliability": [],
    "ReliabilityCore": ["CReliability"],
    "ReliabilityIO": ["ReliabilityCore", "CReliability"],
    "ErrorContext": ["ReliabilityCore"],
    "ReliabilityMetrics": ["ReliabilityCore", "CReliability"],
    "TimeoutManager": ["ReliabilityCore", "ReliabilityMetrics"],
    "RetryKit": ["ReliabilityCore", "ErrorContext", "ReliabilityMetrics"],
    "CircuitBreaker": ["ReliabilityCore", "ReliabilityMetrics"],
    "RateLimiting": ["ReliabilityCore", "ReliabilityMetrics"],
    "ResourcePooling": ["ReliabilityCore", "ReliabilityMetrics"],
    "ResilientCaching": ["ReliabilityCore", "ReliabilityMetrics"],
    "HealthMonitoring": ["ReliabilityCore", "ReliabilityMetrics"],
    "BackoffLock": ["ReliabilityCore", "ReliabilityIO", "CReliability", "ReliabilityMetrics"],
    "AtomicStore": ["ReliabilityCore", "ReliabilityIO", "BackoffLock", "ReliabilityMetrics"],
    "DeadLetterQueue": [
      "ReliabilityCore", "ErrorContext", "RetryKit", "RateLimiting", "AtomicStore",
    ],
    "DurableJobs": [
      "ReliabilityCore", "ErrorContext", "ReliabilityMetrics", "TimeoutManager", "CircuitBreaker",
      "RateLimiting", "DeadLetterQueue", "AtomicStore",
    ],
    "ProcessSupervision": [
      "ReliabilityCore", "ReliabilityIO", "CReliability", "ErrorContext", "ReliabilityMetrics",
    ],
    "ReliabilityFoundation": ["ReliabilityCore", "ErrorContext", "RetryKit", "AtomicStore"],
    "ReliabilityTesting": ["ReliabilityCore", "ReliabilityIO"],
    "Reliability": [
      "ReliabilityCore", "ErrorContext", "ReliabilityMetrics", "TimeoutManager", "RetryKit",
      "CircuitBreaker", "RateLimiting", "ResourcePooling", "BackoffLock", "AtomicStore",
      "ResilientCaching", "HealthMonitoring", "DeadLetterQueue", "ReliabilityFoundation",
      "DurableJobs", "ProcessSupervision",
    ],
  ]

  @Test func manifestNamesNoOtherPackage() throws {
    let manifest = try SourceTree.text("Package.swift")
    #expect(!manifest.contains(".package("))
    #expect(!manifest.contains("unsafeFlags"))
  }

  @Test func everyModuleIsInTheTable() throws {
    #expect(Set(try SourceTree.modules()) == Set(Self.table.keys))
  }

  @Test(arguments: table.keys.sorted())
  func moduleImportsOnlyWhatTheTableAllows(module: String) throws {
    let ours = Set(Self.table.keys)
    let allowed = try #require(Self.table[module])
    for file in try SourceTree.swiftFiles("Sources/\(module)") {
      let imported = SourceTree.imports(file.text).intersection(ours)
      #expect(imported.isSubset(of: allowed), "\(file.path)")
    }
  }

  @Test(arguments: table.keys.sorted().filter { !["CReliability", "ReliabilityIO"].contains($0) })
  func manifestDeclaresOnlyWhatTheTableAllows(module: String) throws {
    let manifest = try SourceTree.text("Package.swift")
    let pattern = try Regex(
      #"Module\(\s*name: "\#(module)"(?:,\s*dependencies: \[([^\]]*)\])?"#,
      as: (Substring, Substring?).self)
    let match = try #require(manifest.firstMatch(of: pattern), "\(module) has no product")
    let declared = (match.output.1 ?? "").split { !$0.isLetter }.map(String.init)
    #expect(Set(declared) == Self.table[module])
  }

  @Test func libraryKeepsToItsImports() throws {
    let libc: Set = ["Glibc", "Darwin", "Musl"]
    // Processes; files and threads are ReliabilityIO's alone.
    let processes: Set = [
      "Sources/BackoffLock/LockProcess.swift", "Sources/BackoffLock/ProcessFacts.swift",
    ]
    let foundation: Set = ["Foundation", "FoundationEssentials", "FoundationNetworking"]
    for file in try SourceTree.swiftFiles("Sources") {
      let imports = SourceTree.imports(file.text)
      if !file.path.hasPrefix("Sources/ReliabilityCore/")
        && !file.path.hasPrefix("Sources/ReliabilityIO/") && !processes.contains(file.path)
      {
        #expect(imports.isDisjoint(with: libc), "\(file.path)")
      }
      if !file.path.hasPrefix("Sources/ReliabilityFoundation/") {
        // JSON only, in a few files; Apple platforms have it in Foundation.
        let coding: Set = [
          "Sources/AtomicStore/DocumentFormat+Coding.swift",
          "Sources/AtomicStore/AppendLog+Append.swift",
          "Sources/DeadLetterQueue/PayloadCoding.swift",
          "Sources/DurableJobs/DurableJob+Coding.swift",
        ]
        let allowed: Set =
          coding.contains(file.path) ? ["FoundationEssentials", "Foundation"] : []
        #expect(imports.intersection(foundation).isSubset(of: allowed), "\(file.path)")
      }
      #expect(!imports.contains("FoundationNetworking"), "\(file.path)")
    }
  }

  @Test func nothingImportsAnExampleButItsProgramAndItsTests() throws {
    for folder in ["Sources", "Benchmarks"] {
      for file in try SourceTree.swiftFiles(folder) {
        // A program of its own, that the downloader is measured against.
        if file.path.hasPrefix("Benchmarks/DownloadYardstick/") { continue }
        #expect(
          !SourceTree.imports(file.text).contains("ReliabilityExampleSupport"), "\(file.path)")
      }
    }
  }
}
