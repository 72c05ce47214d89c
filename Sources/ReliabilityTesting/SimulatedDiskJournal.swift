/// What was called on a simulated disk, and what is to go wrong.
struct CallJournal: Sendable {
  /// How many calls were made, those that failed included.
  var callCount = 0
  var isTracing = true
  private(set) var trace: [TracedCall] = []
  var faults: [Fault] = []
  var faultsMet = 0
  var transferLimit: Int?
  /// How often each call is interrupted before it is made.
  var interruptions = 0 {
    didSet { interruptionsLeft = interruptions }
  }
  private var interruptionsLeft = 0
  var acknowledged: [String] = []

  struct Fault: Sendable {
    var call: SimulatedDisk.Call?
    var path: String?
    var at: Int
    var error: ErrorNumber
    var isPersistent: Bool
    var seen = 0
  }

  /// A trace is for reading: the last calls are those that matter.
  static let longestTrace = 20_000

  /// Whether ``begin(_:_:)`` must know what a call is about.
  var wantsPaths: Bool { faults.contains { $0.path != nil } }

  /// Counts a call and says how it is to fail.
  mutating func begin(
    _ call: SimulatedDisk.Call, _ paths: [String]
  ) -> ErrorNumber? {
    callCount += 1
    if interruptions > 0 {
      if interruptionsLeft > 0 {
        interruptionsLeft -= 1
        faultsMet += 1
        return .interrupted
      }
      interruptionsLeft = interruptions
    }
    if faults.isEmpty { return nil }
    var failure: ErrorNumber?
    for index in faults.indices {
      let fault = faults[index]
      if let wanted = fault.call, wanted != call { continue }
      if let wanted = fault.path, !paths.contains(where: { $0.ends(inPath: wanted) }) { continue }
      faults[index].seen += 1
      let seen = faults[index].seen
      if failure == nil, seen == fault.at || (fault.isPersistent && seen > fault.at) {
        failure = fault.error
      }
    }
    if failure != nil { faultsMet += 1 }
    return failure
  }

  mutating func record(
    _ call: SimulatedDisk.Call?, _ path: String,
    _ detail: TracedCall.Detail, _ error: ErrorNumber?
  ) {
    guard isTracing else { return }
    if trace.count >= 2 * Self.longestTrace { trace.removeFirst(Self.longestTrace) }
    trace.append(
      TracedCall(number: callCount, call: call, path: path, detail: detail, error: error))
  }

  mutating func forgetTrace() { trace = [] }
}

extension String {
  /// Whether these are the last components of a path.
  fileprivate func ends(inPath end: String) -> Bool {
    if self == end { return true }
    return hasSuffix(end.utf8.first == UInt8(ascii: "/") ? end : "/" + end)
  }
}
