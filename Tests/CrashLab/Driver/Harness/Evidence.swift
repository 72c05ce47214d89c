import ReliabilityIO

/// What a worker says it did, kept where no fault reaches it: a line an event, appended with one write.
struct Evidence: Sendable {
  private let file: Int32

  /// - Parameter path: The file, or `-` for standard output.
  init(_ path: String) { file = path == "-" ? 1 : System.openToAppend(path) }

  /// A step is about to start.
  func begin(_ step: Int) { System.append("begin \(step)", to: file) }

  /// A step is done, and no power cut may undo it.
  func done(_ step: Int) { System.append("done \(step)", to: file) }

  /// A step is done, and a power cut may undo it.
  func published(_ step: Int) { System.append("published \(step)", to: file) }

  /// A step failed without effect.
  func refused(_ step: Int, _ error: any Error) { failure("refused \(step) \(error)") }

  /// A step failed, and its error says that it may have had its effect.
  func unsure(_ step: Int, _ error: any Error) { failure("unsure \(step) \(error)") }

  private func failure(_ text: String) {
    System.append(text.split(separator: "\n").joined(separator: " "), to: file)
  }

  /// Something that must never be.
  func violation(_ text: String) { System.append("violation 0 \(text)", to: file) }
}

/// What the evidence says.
struct History: Sendable {
  enum Event: String { case begin, done, published, refused, unsure, violation }
  struct Entry {
    var event: Event
    var step: Int
    var text: String
  }

  private(set) var entries: [Entry] = []

  init(_ path: String) { self.init(text: Files.text(path) ?? "") }

  init(text: String) {
    for line in text.split(separator: "\n") {
      let words = line.split(separator: " ", maxSplits: 2)
      guard words.count >= 2, let event = Event(rawValue: String(words[0])),
        let step = Int(words[1])
      else { continue }
      entries.append(
        Entry(event: event, step: step, text: words.count > 2 ? String(words[2]) : ""))
    }
  }

  func steps(_ event: Event) -> Set<Int> {
    Set(entries.lazy.filter { $0.event == event }.map(\.step))
  }

  /// The errors, as they were described.
  var refusals: [String] {
    entries.filter { $0.event == .refused || $0.event == .unsure }.map(\.text)
  }

  /// The steps whose result may be the state now, when each replaces the one before; 0 is the state at the start.
  ///
  /// - Parameters:
  ///   - isIn: Which steps are about this state.
  ///   - powerWasCut: Whether what was not durable may be gone.
  func allowedStates(
    afterPowerCut powerWasCut: Bool, where isIn: (Int) -> Bool = { _ in true }
  ) -> Set<Int> {
    var allowed: Set<Int> = [0]
    for entry in entries where isIn(entry.step) {
      switch entry.event {
      case .begin: allowed.insert(entry.step)
      case .done: allowed = [entry.step]
      case .published: if !powerWasCut { allowed = [entry.step] }
      case .refused: allowed.remove(entry.step)
      case .unsure, .violation: break
      }
    }
    return allowed
  }
}
