/// One call that was made on a ``SimulatedDisk``, as a line for people.
public struct TracedCall: Sendable, CustomStringConvertible {
  enum Detail: Sendable {
    case none
    case bytes(Int, offset: Int64?)
    case size(Int64)
    case to(String)
    case mode(FileMode)
    case name(String)
    case operation(LockOperation)
    case acknowledged(String)
  }

  /// The number of the call, from 1.
  public let number: Int
  /// What was called, or `nil` for an acknowledgement.
  public let call: SimulatedDisk.Call?
  /// The file it was about.
  public let path: String
  let detail: Detail
  /// How it failed; `nil` when it did not.
  public let error: ErrorNumber?

  /// The line: number, call, path, arguments, and the error if there was one.
  public var description: String {
    let digits = String(number)
    let padding = String(repeating: " ", count: max(0, 5 - digits.utf8.count))
    if case .acknowledged(let text) = detail {
      return "\(padding)\(digits)  -- acknowledged: \(text)"
    }
    let arguments =
      switch detail {
      case .none, .acknowledged: ""
      case .bytes(let count, let offset?): ", \(count) bytes at \(offset)"
      case .bytes(let count, nil): ", \(count) bytes"
      case .size(let size): " to \(size) bytes"
      case .to(let path): " to \(path)"
      case .mode(let mode): ", \(mode)"
      case .name(let name): ", \(name)"
      case .operation(let operation): ", \(operation)"
      }
    let failure = error.map { " = \($0.name ?? String($0.rawValue))" } ?? ""
    return "\(padding)\(digits)  \(call?.rawValue ?? "") \(path)\(arguments)\(failure)"
  }
}

extension SimulatedDisk {
  /// The calls so far, oldest first; at least the last 20,000.
  public var trace: [TracedCall] { machine.withLock { $0.journal.trace } }

  /// The calls so far, one a line.
  public var traceText: String { trace.map(\.description).joined(separator: "\n") }

  /// Forgets the calls so far; their numbers go on.
  public func clearTrace() { machine.withLock { $0.journal.forgetTrace() } }

  /// Notes what a user was told, such as "saved 3": what must be true after every crash from now on.
  ///
  /// In `explore` the check receives all notes made before the crash. A crash
  /// right after a note is explored too.
  ///
  /// - Parameter note: What was promised, in words the check understands.
  public func acknowledge(_ note: String) {
    machine.withLock { machine in
      machine.journal.acknowledged.append(note)
      machine.journal.record(nil, "", .acknowledged(note), nil)
      machine.version += 1
      machine.recordCrashPoint()
    }
  }

  /// The notes made so far.
  public var acknowledged: [String] { machine.withLock { $0.journal.acknowledged } }
}
