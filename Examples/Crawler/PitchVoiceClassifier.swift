internal import Foundation

/// Tells children's voices from adults' by how high they are.
///
/// The fundamental frequency is measured in short frames by normalized autocorrelation (McLeod and Wyvill, "A Smarter
/// Way to Find Pitch", 2005), and the median decides: 85 to 220 Hz is an adult, 250 to 400 Hz a child, with a little room
/// at the outer ends. What has no steady pitch (noise), no sound, several pitches at once or the fixed steps of an instrument (music) is unknown.
///
/// Its limits: it hears one speaker; a low-voiced child and a high-voiced adult between 230 and 240 Hz are unknown; a
/// woman who sings is a child to it, and a steady tone is a voice.
struct PitchVoiceClassifier: VoiceClassifier {
  private static let rate = 8_000.0
  private static let window = 400
  private static let hop = 200
  private static let longestLag = 133
  private static let shortestLag = 16
  private static let frameLimit = 160

  func classify(_ clip: AudioClip) -> Voice {
    guard let format = clip.format else { return .unknown("only WAV files can be listened to") }
    let samples = Self.resampled(clip.samples, from: Double(format.sampleRate))
    let frames = Self.frames(of: samples)
    guard frames.count >= 8 else { return .unknown("it is too short") }
    let loudest = frames.map(\.power).max() ?? 0
    // -54 dB of full scale is silence to a person too.
    guard loudest > 4e-6 else { return .unknown("it is silent") }
    let active = frames.filter { $0.power > max(loudest / 300, 1e-6) }
    let voiced = active.filter { $0.pitch != nil }
    let hollow = active.count(where: \.isHollow)
    guard voiced.count >= 6, voiced.count * 10 >= active.count * 4 else {
      return .unknown(
        hollow * 4 > active.count ? "it sounds like music" : "no voice is heard in it")
    }
    if hollow * 2 > voiced.count || Self.isStepped(frames) {
      return .unknown("it sounds like music")
    }
    let pitches = voiced.compactMap(\.pitch).sorted()
    let median = pitches[pitches.count / 2]
    let spread = pitches[pitches.count * 3 / 4] - pitches[pitches.count / 4]
    guard spread < median * 0.5 else { return .unknown("its pitch is all over the place") }
    switch median {
    case 78..<230: return .adult(hertz: median)
    case 240..<420: return .child(hertz: median)
    default: return .unknown("a pitch of \(Int(median)) Hz belongs to neither")
    }
  }

  private struct Frame {
    var power: Float
    var pitch: Double?
    /// Periodic, but with nothing at the pitch itself: a chord.
    var isHollow = false
  }

  /// Brings samples to 8 kHz; each new one is the mean of those it stands for, which keeps higher sounds out.
  private static func resampled(_ samples: [Float], from rate: Double) -> [Float] {
    let step = rate / Self.rate
    if step <= 1.001 && step >= 0.999 { return samples }
    if step < 1 {
      let count = max(0, Int(Double(samples.count - 1) / step))
      return (0..<count).map { index in
        let place = Double(index) * step
        let part = Float(place - place.rounded(.down))
        return samples[Int(place)] * (1 - part) + samples[Int(place) + 1] * part
      }
    }
    return (0..<Int(Double(samples.count) / step)).map { index in
      let start = Int(Double(index) * step)
      let end = min(samples.count, max(start + 1, Int(Double(index + 1) * step)))
      var sum: Float = 0
      for place in start..<end { sum += samples[place] }
      return sum / Float(end - start)
    }
  }

  /// Looks at pieces that are spread evenly over the clip.
  private static func frames(of samples: [Float]) -> [Frame] {
    let length = window + longestLag
    guard samples.count >= length else { return [] }
    let count = (samples.count - length) / hop + 1
    // Groups of neighbours, so that steps of pitch can be seen.
    let taken =
      count <= frameLimit
      ? Array(0..<count)
      : (0..<10).flatMap { group in
        let start = group * (count - frameLimit / 10) / 9
        return start..<start + frameLimit / 10
      }
    return unsafe samples.withUnsafeBufferPointer { all in
      taken.map { index in
        unsafe frame(UnsafeBufferPointer(rebasing: all[index * hop..<index * hop + length]))
      }
    }
  }

  private static func frame(_ samples: UnsafeBufferPointer<Float>) -> Frame {
    var power: Float = 0
    for index in 0..<window { unsafe power += samples[index] * samples[index] }
    guard power / Float(window) > 1e-6 else { return Frame(power: power / Float(window)) }
    // The sum of both windows' squares, kept up to date from lag to lag.
    var squares = 2 * power
    var curve = [Float](repeating: 1, count: longestLag + 1)
    for lag in 1...longestLag {
      unsafe squares += samples[window + lag - 1] * samples[window + lag - 1]
      unsafe squares -= samples[lag - 1] * samples[lag - 1]
      var sum: Float = 0
      for index in 0..<window { unsafe sum += samples[index] * samples[index + lag] }
      curve[lag] = squares > 0 ? 2 * sum / squares : 0
    }
    var result = Frame(power: power / Float(window))
    guard let lag = period(curve) else { return result }
    let pitch = rate / lag
    let low = unsafe strength(samples, at: pitch, power) + strength(samples, at: 2 * pitch, power)
    if low < 0.04 { result.isHollow = true } else { result.pitch = pitch }
    return result
  }

  /// The lag of the first peak that is nearly as high as the highest, to parts of a sample.
  private static func period(_ curve: [Float]) -> Double? {
    guard var index = (1..<curve.count).first(where: { curve[$0] < 0 }) else { return nil }
    var peaks: [Int] = []
    while index < curve.count - 1 {
      // The highest place of each stretch above zero.
      while index < curve.count - 1, curve[index] <= 0 { index += 1 }
      var best = index
      while index < curve.count - 1, curve[index] > 0 {
        if curve[index] > curve[best] { best = index }
        index += 1
      }
      if best > shortestLag, best < curve.count - 1, curve[best] >= curve[best + 1] {
        peaks.append(best)
      }
    }
    guard let highest = peaks.map({ curve[$0] }).max(), highest > 0.72,
      let peak = peaks.first(where: { curve[$0] >= 0.9 * highest })
    else { return nil }
    let (left, middle, right) = (curve[peak - 1], curve[peak], curve[peak + 1])
    let bend = left - 2 * middle + right
    return Double(peak) + (bend == 0 ? 0 : Double((left - right) / (2 * bend)))
  }

  /// Which part of a frame's power is at a frequency.
  private static func strength(
    _ samples: UnsafeBufferPointer<Float>, at frequency: Double, _ power: Float
  ) -> Float {
    let step = Float(2 * Double.pi * frequency / rate)
    let (sine, cosine) = (sinf(step), cosf(step))
    var (s, c): (Float, Float) = (0, 1)
    var (x, y): (Float, Float) = (0, 0)
    for index in 0..<window {
      unsafe x += samples[index] * c
      unsafe y += samples[index] * s
      (s, c) = (s * cosine + c * sine, c * cosine - s * sine)
    }
    return 2 * (x * x + y * y) / (Float(window) * power)
  }

  /// Whether the pitch stands still on three notes or more: voices glide, instruments step.
  private static func isStepped(_ frames: [Frame]) -> Bool {
    var notes: [Double] = []
    var run: [Double] = []
    for frame in frames + [Frame(power: 0)] {
      let tone = frame.pitch.map { 12 * log2($0 / 100) }
      if let tone, let first = run.first, abs(tone - first) < 0.12 {
        run.append(tone)
        continue
      }
      if run.count >= 5, !notes.contains(where: { abs($0 - run[0]) < 0.8 }) { notes.append(run[0]) }
      run = tone.map { [$0] } ?? []
    }
    return notes.count >= 3
  }
}
