/// A file of the demo: a sound in WAV form whose every byte follows from a seed and the file's number.
///
/// Any part of it can be made at any time without the rest, so a server needs no memory for it.
///
///     let file = MediaFile(number: 7, byteCount: 4096, seed: 1)
///     print(file.name, file.sha256().prefix(8))
public struct MediaFile: Sendable {
  /// The file's number among its kind.
  public let number: Int
  /// The length in bytes, even and at least 46.
  public let byteCount: Int

  private let key: UInt64
  private let period: Int
  private let header: [UInt8]

  /// Makes a file.
  ///
  /// - Parameters:
  ///   - number: The file's number; it is part of the name.
  ///   - byteCount: The length in bytes; made even, and 46 at least.
  ///   - seed: Decides the content, together with the number.
  public init(number: Int, byteCount: Int, seed: UInt64) {
    self.number = number
    self.byteCount = max(46, byteCount & ~1)
    key = Self.mix(seed &+ UInt64(truncatingIfNeeded: number) &* 0x9e37_79b9_7f4a_7c15)
    period = 40 + Int(key % 160)
    header = Self.header(byteCount: self.byteCount)
  }

  /// The file's name.
  public var name: String {
    let digits = String(number)
    return "track-\(String(repeating: "0", count: max(0, 3 - digits.count)))\(digits).wav"
  }

  /// The bytes as a body for the server.
  public var body: HTTPBody {
    HTTPBody(count: byteCount) { [self] position, buffer in
      unsafe fill(buffer, from: position)
    }
  }

  /// Writes the bytes that begin at a position into a buffer.
  ///
  /// - Complexity: O(size of the buffer).
  public func fill(_ buffer: UnsafeMutableRawBufferPointer, from position: Int) {
    guard let base = buffer.baseAddress else { return }
    var index = 0
    while index < buffer.count, position + index < header.count {
      unsafe base.storeBytes(of: header[position + index], toByteOffset: index, as: UInt8.self)
      index &+= 1
    }
    while index < buffer.count {
      let offset = position &+ index &- header.count
      let sample = self.sample(offset &>> 1)
      if offset & 1 == 0, index &+ 1 < buffer.count {
        unsafe base.storeBytes(of: sample.littleEndian, toByteOffset: index, as: UInt16.self)
        index &+= 2
      } else {
        let byte = UInt8(truncatingIfNeeded: offset & 1 == 0 ? sample : sample &>> 8)
        unsafe base.storeBytes(of: byte, toByteOffset: index, as: UInt8.self)
        index &+= 1
      }
    }
  }

  /// A triangle wave with a little noise.
  @inline(__always) private func sample(_ index: Int) -> UInt16 {
    let phase = index % period
    let ramp = phase &* 32_000 / period
    let triangle = phase &* 2 < period ? ramp : 32_000 &- ramp
    let noise = Int(Self.mix(key &+ UInt64(truncatingIfNeeded: index)) & 0x3ff)
    return UInt16(truncatingIfNeeded: triangle &- 8_000 &+ noise)
  }

  /// Scatters the bits of a number, so that neighbours in give strangers out.
  ///
  /// Source: the last step of SplitMix64 (Steele, Lea, Flood, "Fast Splittable Pseudorandom Number Generators", 2014).
  @inline(__always) private static func mix(_ value: UInt64) -> UInt64 {
    var z = value
    z = (z ^ (z &>> 30)) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ (z &>> 27)) &* 0x94d0_49bb_1331_11eb
    return z ^ (z &>> 31)
  }

  /// The SHA-256 of the whole file, in lower-case hexadecimal.
  ///
  /// - Complexity: O(``byteCount``), in constant memory.
  public func sha256() -> String {
    var digest = SHA256()
    unsafe withUnsafeTemporaryAllocation(byteCount: 65_536, alignment: 8) { buffer in
      var position = 0
      while position < byteCount {
        let count = min(buffer.count, byteCount - position)
        let piece = unsafe UnsafeMutableRawBufferPointer(rebasing: buffer[..<count])
        unsafe fill(piece, from: position)
        unsafe digest.update(UnsafeRawBufferPointer(piece))
        position += count
      }
    }
    return digest.hexadecimal
  }

  /// RIFF header of 16-bit mono PCM at 22,050 Hz.
  private static func header(byteCount: Int) -> [UInt8] {
    func little(_ value: Int, _ bytes: Int) -> [UInt8] {
      (0..<bytes).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) }
    }
    return Array("RIFF".utf8) + little(byteCount - 8, 4) + Array("WAVEfmt ".utf8)
      + little(16, 4) + little(1, 2) + little(1, 2) + little(22_050, 4) + little(44_100, 4)
      + little(2, 2) + little(16, 2) + Array("data".utf8) + little(byteCount - 44, 4)
  }
}
