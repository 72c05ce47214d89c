internal import Foundation
internal import Reliability

/// Makes WAV files of voices and of what is none, for the demo and the tests.
struct SoundMaker {
  enum Kind: Hashable, Sendable {
    /// A voice around a pitch in Hz: gliding, with syllables, pauses, and the formants of a vowel.
    case voice(Double)
    case whiteNoise, pinkNoise, silence
    /// A melody of fixed notes.
    case melody
    /// Three notes at once, changing.
    case chords
  }

  /// How the samples are written.
  enum Encoding: CaseIterable, Sendable {
    case int8, int16, int24, int32, float32

    var bits: Int {
      switch self {
      case .int8: 8
      case .int16: 16
      case .int24: 24
      case .int32, .float32: 32
      }
    }
  }

  var rate = 16_000
  var channels = 1
  var encoding = Encoding.int16
  var seconds = 1.5

  /// A whole file.
  ///
  /// - Parameters:
  ///   - kind: What is to be heard.
  ///   - seed: Decides everything else.
  func file(_ kind: Kind, seed: UInt64) -> [UInt8] {
    encode(samples(kind, seed: seed))
  }

  private func samples(_ kind: Kind, seed: UInt64) -> [Float] {
    var chance = SeededGenerator(seed: seed)
    let count = Int(seconds * Double(rate))
    switch kind {
    case .voice(let pitch): return voice(pitch, count, &chance)
    case .whiteNoise: return (0..<count).map { _ in Float.random(in: -0.4...0.4, using: &chance) }
    case .pinkNoise:
      var level: Float = 0
      return (0..<count).map { _ in
        level = 0.9 * level + 0.1 * Float.random(in: -1...1, using: &chance)
        return level
      }
    case .silence:
      return (0..<count).map { _ in Float.random(in: -0.0005...0.0005, using: &chance) }
    case .melody: return notes(count, &chance, atOnce: 1)
    case .chords: return notes(count, &chance, atOnce: 3)
    }
  }

  /// Harmonics of a gliding pitch, each as strong as the vowel's formants make it.
  private func voice(_ pitch: Double, _ count: Int, _ chance: inout SeededGenerator) -> [Float] {
    let scale = pitch > 235 ? 1.25 : 1.0
    let formants = [550.0, 1_500, 2_500].map {
      $0 * scale * Double.random(in: 0.9...1.1, using: &chance)
    }
    let harmonics = max(3, min(24, Int(3_400 / pitch)))
    let weights = (1...harmonics).map { number -> Float in
      let frequency = pitch * Double(number)
      let shape = formants.enumerated().reduce(0.25) { sum, formant in
        let distance = (frequency - formant.element) / 180
        return sum + 1 / (1 + distance * distance) / Double(formant.offset + 1)
      }
      return Float(shape / pow(Double(number), 0.7))
    }
    let loudness = 0.35 / weights.reduce(0, +)
    let sway = Double.random(in: 0.5...1.1, using: &chance)
    let start = Double.random(in: 0...6, using: &chance)
    let syllable = Double.random(in: 3...5, using: &chance)
    var phase = 0.0
    var jitter = 0.0
    return (0..<count).map { index in
      let time = Double(index) / Double(rate)
      if index % 80 == 0 {
        jitter = 0.8 * jitter + Double.random(in: -0.004...0.004, using: &chance)
      }
      let glide = 0.07 * sin(2 * .pi * sway * time + start) + jitter
      phase += 2 * .pi * pitch * (1 + glide) / Double(rate)
      if phase > 2 * .pi { phase -= 2 * .pi }
      let envelope = Float(max(0, min(1, 0.9 + 1.6 * sin(2 * .pi * syllable * time + start))))
      // Each harmonic from the two before it, so that there is one sine a sample.
      let (first, twice) = (Float(sin(phase)), 2 * Float(cos(phase)))
      var (before, current): (Float, Float) = (0, first)
      var sum: Float = 0
      for weight in weights {
        sum += weight * current
        (before, current) = (current, twice * current - before)
      }
      return envelope * loudness * sum + Float.random(in: -0.004...0.004, using: &chance)
    }
  }

  /// Notes of the tempered scale that start hard and fade, as strings do.
  private func notes(_ count: Int, _ chance: inout SeededGenerator, atOnce: Int) -> [Float] {
    let length = rate / 4
    let scale = [0, 2, 4, 5, 7, 9, 11, 12]
    var frequencies: [Double] = []
    var last = -1
    return (0..<count).map { index in
      if index % length == 0 {
        var step = Int.random(in: 0..<scale.count, using: &chance)
        if step == last { step = (step + 3) % scale.count }
        last = step
        frequencies = (0..<atOnce).map { part in
          let tone = Double(
            scale[(step + 2 * part) % scale.count] + 12 * ((step + 2 * part) / scale.count))
          return 261.63 * pow(2, tone / 12)
        }
      }
      let time = Double(index % length) / Double(rate)
      let fade = exp(-2.5 * time)
      let sum = frequencies.reduce(0.0) { sum, frequency in
        let angle = 2 * .pi * frequency * time
        return sum + sin(angle) + 0.4 * sin(2 * angle) + 0.15 * sin(3 * angle)
      }
      return Float(0.4 * fade * sum / Double(atOnce))
    }
  }

  private func encode(_ samples: [Float]) -> [UInt8] {
    func little(_ value: Int, _ bytes: Int) -> [UInt8] {
      (0..<bytes).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) }
    }
    let width = encoding.bits / 8
    let size = samples.count * channels * width
    var bytes = Array("RIFF".utf8) + little(36 + size, 4) + Array("WAVEfmt ".utf8) + little(16, 4)
    bytes += little(encoding == .float32 ? 3 : 1, 2) + little(channels, 2) + little(rate, 4)
    bytes += little(rate * channels * width, 4) + little(channels * width, 2)
    bytes += little(encoding.bits, 2) + Array("data".utf8) + little(size, 4)
    bytes.reserveCapacity(bytes.count + size)
    for sample in samples {
      let value = max(-1, min(1, sample))
      let number: Int =
        switch encoding {
        case .int8: Int(value * 127) + 128
        case .int16: Int(value * 32_767)
        case .int24: Int(value * 8_388_607)
        case .int32: Int(Double(value) * 2_147_483_647)
        case .float32: Int(value.bitPattern)
        }
      for _ in 0..<channels {
        for place in 0..<width { bytes.append(UInt8(truncatingIfNeeded: number >> (8 * place))) }
      }
    }
    return bytes
  }
}
