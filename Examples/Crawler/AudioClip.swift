/// The beginning of a recording, as samples from -1 to 1 of one channel.
struct AudioClip: Sendable {
  struct Format: Hashable, Sendable {
    var sampleRate: Int
    var channels: Int
    var bits: Int
    /// How long the whole recording is, as its header says.
    var seconds: Double
  }

  /// `nil` when the bytes are not a WAV file; what they are is left to others.
  var format: Format?
  var samples: [Float] = []

  /// A file that says it is WAV and is not.
  struct Malformed: Error, Hashable, CustomStringConvertible {
    let description: String
  }

  /// Reads RIFF/WAVE with integer samples of 8, 16, 24 and 32 bits, and floating-point ones of 32; channels are mixed.
  ///
  /// - Parameters:
  ///   - bytes: The file's beginning or all of it.
  ///   - secondsLimit: How much of it is made into samples.
  /// - Throws: ``Malformed``. Bytes that don't begin as WAV files do are no error: they have no format and no samples.
  init(_ bytes: [UInt8], secondsLimit: Double = 20) throws(Malformed) {
    guard bytes.count >= 12, bytes.starts(with: "RIFF".utf8),
      bytes[8..<12].elementsEqual("WAVE".utf8)
    else { return }
    var reader = Reader(bytes: bytes, position: 12)
    var sound: SoundFormat?
    while let (name, size) = reader.chunk() {
      switch name {
      case "fmt ": sound = try SoundFormat(reader.bytes, at: reader.position, size: size)
      case "data":
        guard let sound else { throw Malformed(description: "it has sound before its format") }
        format = Format(
          sampleRate: sound.rate, channels: sound.channels, bits: sound.bits,
          seconds: Double(size / sound.frameSize) / Double(sound.rate))
        let there = min(size, bytes.count - reader.position) / sound.frameSize
        let frames = min(there, Int(secondsLimit * Double(sound.rate)))
        samples = sound.samples(bytes, at: reader.position, frames: frames)
        return
      default: break
      }
      // Chunks begin at even positions.
      let (next, overflow) = reader.position.addingReportingOverflow(size + size % 2)
      guard !overflow, next <= bytes.count else { break }
      reader.position = next
    }
    throw Malformed(description: "it has no sound in it")
  }

  private struct Reader {
    let bytes: [UInt8]
    var position: Int

    mutating func chunk() -> (name: String, size: Int)? {
      guard position + 8 <= bytes.count else { return nil }
      let name = String(decoding: bytes[position..<position + 4], as: UTF8.self)
      let size = AudioClip.number(bytes, at: position + 4, bytes: 4)
      position += 8
      return (name, size)
    }
  }

  private struct SoundFormat {
    let rate: Int
    let channels: Int
    let bits: Int
    let isFloat: Bool
    var frameSize: Int { channels * bits / 8 }

    init(_ bytes: [UInt8], at position: Int, size: Int) throws(Malformed) {
      guard size >= 16, position + 16 <= bytes.count else {
        throw Malformed(description: "its format is cut off")
      }
      var kind = AudioClip.number(bytes, at: position, bytes: 2)
      // The extensible form has the kind in a longer field.
      if kind == 0xfffe, size >= 26, position + 26 <= bytes.count {
        kind = AudioClip.number(bytes, at: position + 24, bytes: 2)
      }
      channels = AudioClip.number(bytes, at: position + 2, bytes: 2)
      rate = AudioClip.number(bytes, at: position + 4, bytes: 4)
      bits = AudioClip.number(bytes, at: position + 14, bytes: 2)
      isFloat = kind == 3
      guard kind == 1 || kind == 3 else {
        throw Malformed(description: "its samples are compressed (format \(kind))")
      }
      guard (1...64).contains(channels), (4_000...768_000).contains(rate),
        isFloat ? bits == 32 : [8, 16, 24, 32].contains(bits)
      else {
        throw Malformed(
          description: "it claims \(channels) channels of \(bits) bits at \(rate) Hz")
      }
    }

    func samples(_ bytes: [UInt8], at start: Int, frames: Int) -> [Float] {
      let width = bits / 8
      let scale: Float = 1 / (Float(channels) * (bits == 8 ? 128 : Float(1 << (min(bits, 25) - 1))))
      return unsafe bytes.withUnsafeBytes { raw in
        (0..<frames).map { frame in
          var sum: Float = 0
          for channel in 0..<channels {
            let at = start + frame * frameSize + channel * width
            if isFloat {
              let value = unsafe Float(
                bitPattern: UInt32(
                  littleEndian: raw.loadUnaligned(fromByteOffset: at, as: UInt32.self)))
              sum += value.isFinite ? max(-1, min(1, value)) / Float(channels) : 0
            } else {
              switch width {
              case 1: sum += Float(Int(unsafe raw[at]) - 128) * scale
              case 2:
                sum +=
                  unsafe Float(
                    Int16(littleEndian: raw.loadUnaligned(fromByteOffset: at, as: Int16.self)))
                  * scale
              default:
                // The upper three bytes are more than enough.
                let high = unsafe Int32(Int8(bitPattern: raw[at + width - 1])) << 16
                let middle = unsafe Int32(raw[at + width - 2]) << 8
                sum +=
                  unsafe Float(high | middle | Int32(raw[at + width - 3]))
                  / (Float(channels) * 8_388_608)
              }
            }
          }
          return sum
        }
      }
    }
  }

  fileprivate static func number(_ bytes: [UInt8], at position: Int, bytes count: Int) -> Int {
    (0..<count).reduce(0) { $0 | Int(bytes[position + $1]) << (8 * $1) }
  }
}
