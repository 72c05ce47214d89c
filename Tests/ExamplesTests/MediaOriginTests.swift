import Reliability
import Testing

@testable import ReliabilityExampleSupport

@Suite struct MediaOriginTests {
  @Test func theFullDemoHasEverySizeAndEveryFaultOftenEnough() {
    let items = MediaOrigin.plan(.full, seed: 20_250_115)
    let sizes = items.map(\.file.byteCount)
    #expect(items.count >= 60)
    #expect(sizes.min() == 1024)
    #expect(sizes.max() == 8 << 20)
    #expect(Set(items.map(\.file.name)).count == items.count)
    for kind in MediaOrigin.FaultKind.allCases {
      #expect(items.flatMap(\.faults).filter { $0 == kind }.count >= 3, "\(kind)")
    }
    for kind in [MediaOrigin.FaultKind.reset, .stall] {
      let large = items.filter { $0.faults.contains(kind) && $0.file.byteCount >= 1 << 20 }
      #expect(large.count >= 1, "\(kind)")
    }
    #expect(items.contains { $0.faults.count > 1 })
  }

  @Test(arguments: [1, 2, 42, UInt64.max])
  func theSameSeedGivesTheSamePlan(seed: UInt64) {
    for scale in [MediaOrigin.Scale.full, .small] {
      let first = MediaOrigin.plan(scale, seed: seed)
      let second = MediaOrigin.plan(scale, seed: seed)
      #expect(first.map(\.file.byteCount) == second.map(\.file.byteCount))
      #expect(first.map(\.faults) == second.map(\.faults))
      #expect(Set(first.flatMap(\.faults)) == Set(MediaOrigin.FaultKind.allCases))
    }
  }

  @Test func theContentIsTheSameEveryTime() {
    let digest = "306457a6e0bd007d73090784a9aca322f77440a33051292b2cdd962d8252df86"
    #expect(MediaFile(number: 7, byteCount: 10_000, seed: 1).sha256() == digest)
    #expect(MediaFile(number: 8, byteCount: 10_000, seed: 1).sha256() != digest)
    #expect(MediaFile(number: 7, byteCount: 10_000, seed: 2).sha256() != digest)
  }

  @Test func aFileIsAWaveFile() {
    let bytes = read(MediaFile(number: 1, byteCount: 1000, seed: 1), 0..<46)
    #expect(String(decoding: bytes[0..<4], as: UTF8.self) == "RIFF")
    #expect(Int(bytes[4]) | Int(bytes[5]) << 8 == 992)
    #expect(String(decoding: bytes[8..<16], as: UTF8.self) == "WAVEfmt ")
    #expect(String(decoding: bytes[36..<40], as: UTF8.self) == "data")
    #expect(Int(bytes[40]) | Int(bytes[41]) << 8 == 956)
  }

  @Test func everyPartEqualsThatPartOfTheWhole() {
    let file = MediaFile(number: 3, byteCount: 500, seed: 9)
    let whole = read(file, 0..<500)
    var chance = SeededGenerator(seed: 4)
    for _ in 0..<500 {
      let start = Int.random(in: 0..<500, using: &chance)
      let end = Int.random(in: start...500, using: &chance)
      #expect(read(file, start..<end) == Array(whole[start..<end]), "\(start)..<\(end)")
    }
  }

  private func read(_ file: MediaFile, _ positions: Range<Int>) -> [UInt8] {
    unsafe [UInt8](unsafeUninitializedCapacity: positions.count) { buffer, count in
      unsafe file.body.slice(positions).read(at: 0, into: UnsafeMutableRawBufferPointer(buffer))
      count = positions.count
    }
  }
}
