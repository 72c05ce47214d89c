// swift-tools-version: 6.3
import PackageDescription

// The table of who may import whom is a promise to adopters: an application that only wants `RetryKit`
// compiles four small modules and nothing else. `HouseTests` compares this manifest with the imports.

/// One public module: a target and the library product that carries it.
struct Module {
  var name: String
  var dependencies: [String] = []
}

let modules = [
  Module(name: "ReliabilityCore", dependencies: ["CReliability"]),
  Module(name: "ErrorContext", dependencies: ["ReliabilityCore"]),
  Module(name: "ReliabilityMetrics", dependencies: ["ReliabilityCore", "CReliability"]),
  Module(name: "TimeoutManager", dependencies: ["ReliabilityCore", "ReliabilityMetrics"]),
  Module(
    name: "RetryKit", dependencies: ["ReliabilityCore", "ErrorContext", "ReliabilityMetrics"]),
  Module(name: "CircuitBreaker", dependencies: ["ReliabilityCore", "ReliabilityMetrics"]),
  Module(name: "RateLimiting", dependencies: ["ReliabilityCore", "ReliabilityMetrics"]),
  Module(name: "ResourcePooling", dependencies: ["ReliabilityCore", "ReliabilityMetrics"]),
  Module(name: "ResilientCaching", dependencies: ["ReliabilityCore", "ReliabilityMetrics"]),
  Module(name: "HealthMonitoring", dependencies: ["ReliabilityCore", "ReliabilityMetrics"]),
  Module(
    name: "BackoffLock",
    dependencies: ["ReliabilityCore", "ReliabilityIO", "CReliability", "ReliabilityMetrics"]),
  Module(
    name: "AtomicStore",
    dependencies: ["ReliabilityCore", "ReliabilityIO", "BackoffLock", "ReliabilityMetrics"]),
  Module(
    name: "DeadLetterQueue",
    dependencies: [
      "ReliabilityCore", "ErrorContext", "RetryKit", "RateLimiting", "AtomicStore",
    ]),
  Module(
    name: "DurableJobs",
    dependencies: [
      "ReliabilityCore", "ErrorContext", "ReliabilityMetrics", "TimeoutManager", "CircuitBreaker",
      "RateLimiting", "DeadLetterQueue", "AtomicStore",
    ]),
  Module(
    name: "ProcessSupervision",
    dependencies: [
      "ReliabilityCore", "ReliabilityIO", "CReliability", "ErrorContext", "ReliabilityMetrics",
    ]),
  Module(
    name: "ReliabilityFoundation",
    dependencies: ["ReliabilityCore", "ErrorContext", "RetryKit", "AtomicStore"]),
  Module(name: "ReliabilityTesting", dependencies: ["ReliabilityCore", "ReliabilityIO"]),
  Module(
    name: "Reliability",
    dependencies: [
      "ReliabilityCore", "ErrorContext", "ReliabilityMetrics", "TimeoutManager", "RetryKit",
      "CircuitBreaker", "RateLimiting", "ResourcePooling", "BackoffLock", "AtomicStore",
      "ResilientCaching", "HealthMonitoring", "DeadLetterQueue", "ReliabilityFoundation",
      "DurableJobs", "ProcessSupervision",
    ]),
]

/// The programs.
///
/// As a dependency (a checkout of SwiftPM's) the package offers no executable product, because an
/// executable of the same name in the adopter's package would be overwritten in its build folder.
let isCheckout = Context.packageDirectory.split(separator: "/").contains("checkouts")
let programs: [Product] =
  isCheckout
  ? []
  : [
    .executable(name: "downloader", targets: ["ReliabilityDownloader"]),
    .executable(name: "crawler", targets: ["ReliabilityCrawler"]),
    .executable(name: "benchmarks", targets: ["ReliabilityBenchmarks"]),
  ]

func testTarget(_ module: String, alsoUsing others: [String] = []) -> Target {
  .testTarget(
    name: "\(module)Tests",
    dependencies: ([module, "ReliabilityTesting", "ReliabilityTestSupport"] + others)
      .map { .byName(name: $0) })
}

let package = Package(
  name: "swift-reliability",
  platforms: [.macOS(.v15), .iOS(.v18), .tvOS(.v18), .watchOS(.v11), .visionOS(.v2)],
  products: modules.map { .library(name: $0.name, targets: [$0.name]) } + programs,
  targets: [
    .target(name: "CReliability"),
    .target(name: "ReliabilityIO", dependencies: ["ReliabilityCore", "CReliability"]),
  ]
    + modules.map { module in
      .target(name: module.name, dependencies: module.dependencies.map { .byName(name: $0) })
    }
    + [
      .target(
        name: "ReliabilityExampleSupport", dependencies: ["Reliability"],
        path: "Examples/ExampleSupport"),
      .executableTarget(
        name: "ReliabilityDownloader", dependencies: ["Reliability", "ReliabilityExampleSupport"],
        path: "Examples/Downloader"),
      .executableTarget(
        name: "ReliabilityDownloadYardstick",
        dependencies: ["Reliability", "ReliabilityExampleSupport"],
        path: "Benchmarks/DownloadYardstick"),
      .executableTarget(
        name: "ReliabilityCrawler", dependencies: ["Reliability", "ReliabilityExampleSupport"],
        path: "Examples/Crawler"),
      .target(name: "CReliabilityAllocationCounter", path: "Benchmarks/AllocationCounter"),
      .executableTarget(
        name: "ReliabilityBenchmarks",
        dependencies: ["Reliability", "CReliabilityAllocationCounter"],
        path: "Benchmarks/Program"),
      // What several test targets share. No product: adopters' builds never reach it.
      .target(
        name: "ReliabilityTestSupport", dependencies: ["ReliabilityCore", "ReliabilityIO"],
        path: "Tests/Support"),
      testTarget("ReliabilityCore"),
      testTarget("ReliabilityIO", alsoUsing: ["CReliability"]),
      testTarget("ErrorContext"),
      testTarget("ReliabilityMetrics", alsoUsing: ["Reliability"]),
      testTarget("TimeoutManager"),
      testTarget("RetryKit", alsoUsing: ["TimeoutManager", "CircuitBreaker", "RateLimiting"]),
      testTarget("CircuitBreaker"),
      testTarget("BackoffLock", alsoUsing: ["ReliabilityIO"]),
      testTarget("ResourcePooling", alsoUsing: ["ReliabilityMetrics", "TimeoutManager"]),
      testTarget("ResilientCaching", alsoUsing: ["CircuitBreaker"]),
      testTarget("HealthMonitoring", alsoUsing: ["ReliabilityMetrics"]),
      testTarget("RateLimiting", alsoUsing: ["ReliabilityMetrics"]),
      testTarget("AtomicStore", alsoUsing: ["ReliabilityIO", "BackoffLock"]),
      testTarget("DeadLetterQueue", alsoUsing: ["ReliabilityIO", "AtomicStore"]),
      testTarget(
        "DurableJobs",
        alsoUsing: ["CircuitBreaker", "RateLimiting", "TimeoutManager", "DeadLetterQueue"]),
      testTarget("ProcessSupervision", alsoUsing: ["ReliabilityIO", "CReliability"]),
      testTarget("ReliabilityFoundation"),
      .testTarget(
        name: "ReliabilityTestingTests",
        dependencies: ["ReliabilityTesting", "ReliabilityTestSupport", "ReliabilityIO"]),
      .executableTarget(
        name: "ReliabilityCrashLab",
        dependencies: [
          "BackoffLock", "AtomicStore", "DurableJobs", "ReliabilityIO", "ReliabilityTesting",
        ],
        path: "Tests/CrashLab/Driver"),
      .executableTarget(
        name: "ReliabilityMissionLab",
        dependencies: [
          "Reliability", "ReliabilityIO", "ReliabilityTesting", "CReliabilityAllocationCounter",
        ],
        path: "Tests/MissionTests/Driver"),
      .testTarget(
        name: "MissionTests", dependencies: ["Reliability", "ReliabilityTestSupport"],
        exclude: ["Driver", "soak"]),
      .testTarget(
        name: "ExamplesTests",
        dependencies: [
          "Reliability", "ReliabilityExampleSupport", "ReliabilityDownloader",
          "ReliabilityTesting", "ReliabilityTestSupport",
        ]),
      .testTarget(
        name: "CrawlerTests",
        dependencies: [
          "Reliability", "ReliabilityExampleSupport", "ReliabilityCrawler", "BackoffLock",
          "ReliabilityIO", "ReliabilityTesting", "ReliabilityTestSupport",
        ]),
      .testTarget(name: "HouseTests", dependencies: ["Reliability"]),
    ]
)

for target in package.targets where !target.name.hasPrefix("CReliability") {
  target.swiftSettings = [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
    .enableUpcomingFeature("InferIsolatedConformances"),
    .strictMemorySafety(),
  ]
}
