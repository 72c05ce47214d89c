import Reliability
import ReliabilityTestSupport
import Testing

@testable import ReliabilityCrawler

@Suite(.offThePool) struct AnalysisTests {
  /// Seventy-two files of every sample rate and format, each with another pitch, glide, vowel and loudness.
  @Test func voicesOfGeneratedFilesAreToldApart() throws {
    let classifier = PitchVoiceClassifier()
    let rates = [8_000, 11_025, 16_000, 22_050, 44_100]
    var wrong: [String] = []
    var count = 0
    func check(_ kind: SoundMaker.Kind, _ expected: String) throws {
      var maker = SoundMaker()
      maker.rate = rates[count / 2 % rates.count]
      maker.encoding = SoundMaker.Encoding.allCases[count % SoundMaker.Encoding.allCases.count]
      maker.channels = 1 + count % 2
      maker.seconds = 0.7
      count += 1
      let voice = classifier.classify(try AudioClip(maker.file(kind, seed: UInt64(count))))
      if voice.name != expected { wrong.append("\(kind) of file \(count): \(voice)") }
    }
    for index in 0..<24 {
      try check(.voice(250 + 150 * Double(index) / 23), "child")
      try check(.voice(85 + 135 * Double(index) / 23), "adult")
    }
    for _ in 0..<5 {
      for kind in [SoundMaker.Kind.whiteNoise, .pinkNoise, .silence, .melody, .chords] {
        try check(kind, "unknown")
      }
    }
    print("voices: \(count - wrong.count) of \(count) right")
    #expect(wrong.count * 20 <= count, "\(wrong)")
  }

  @Test func textsOfSixLanguagesAreToldApart() throws {
    let detector = try TrigramLanguageDetector(samples: LanguageSamples.all)
    var chance = SeededGenerator(seed: 11)
    var wrong: [String] = []
    var count = 0
    for (language, sentences) in LanguageTexts.all.sorted(by: { $0.key < $1.key }) {
      for _ in 0..<100 {
        let text = sentences.shuffled(using: &chance).joined(separator: " ").prefix(200)
        count += 1
        let detected = detector.detect(String(text))?.code
        if detected != language { wrong.append("\(language) as \(detected ?? "nothing"): \(text)") }
      }
    }
    print("languages: \(count - wrong.count) of \(count) right")
    #expect(count == 600)
    #expect(wrong.count * 20 <= count, "\(wrong.prefix(5))")
  }

  @Test(arguments: [
    "", "42", "   ...   ", "Это совсем другой язык, и букв здесь хватает на три слова.", "ok",
  ])
  func aTextThatSaysTooLittleOrIsInAnotherAlphabetHasNoLanguage(text: String) throws {
    let detector = try TrigramLanguageDetector(samples: LanguageSamples.all)
    #expect(detector.detect(text) == nil)
  }

  @Test func aDetectorWithoutTextsDoesNotStart() {
    #expect(throws: TrigramLanguageDetector.NoSamples.self) {
      try TrigramLanguageDetector(samples: [:])
    }
    #expect(throws: TrigramLanguageDetector.NoSamples.self) {
      try TrigramLanguageDetector.learning(from: "/nowhere")
    }
  }

  @Test func bytesThatAreNoWaveFileHaveNoFormat() throws {
    #expect(try AudioClip(Array("ID3 something".utf8)).format == nil)
    #expect(try AudioClip([]).format == nil)
    let voice = PitchVoiceClassifier().classify(try AudioClip([]))
    #expect(voice.name == "unknown")
  }

  /// Every cut, and bytes turned over in every place of the header, never trap.
  @Test func damagedWaveFilesAreRefusedOrRead() throws {
    var maker = SoundMaker()
    maker.seconds = 0.05
    let file = maker.file(.voice(300), seed: 1)
    for length in 0...80 { _ = try? AudioClip(Array(file.prefix(length))) }
    var chance = SeededGenerator(seed: 3)
    for _ in 0..<500 {
      var damaged = file
      for _ in 0..<3 {
        damaged[Int.random(in: 0..<48, using: &chance)] = UInt8.random(in: 0...255, using: &chance)
      }
      if let clip = try? AudioClip(damaged) { _ = PitchVoiceClassifier().classify(clip) }
    }
  }
}
