/// The state of a simulated disk and of the kernel above it: what is visible, what is durable, who has what open.
///
/// A value without locks or waiting: every call is one function that succeeds or throws an error number. The shell
/// around it counts calls, injects faults and blocks.
struct SimulatedMachine: Sendable {
  let configuration: SimulatedDisk.Configuration
  /// Tells the files of this disk from those of every other one in the process.
  let device: UInt64
  var random: SeededGenerator

  /// What programs see.
  var visible: SimulatedImage
  /// What the medium certainly has.
  var durable: SimulatedImage
  /// What programs see and the medium may or may not have, oldest first.
  var pending: [PendingChange] = []
  var nextChange = 1
  var nextNode: Int

  var descriptors: [Int32: Int] = [:]
  var descriptions: [Int: OpenDescription] = [:]
  /// Never reused: a descriptor of a closed file is always an error.
  var nextDescriptor: Int32 = 3
  var nextDescription = 1

  var fileLocks: [Int: [Int: LockOperation]] = [:]
  var rangeLocks: [Int: [RangeLock]] = [:]
  /// Threads to wake because a lock was given up.
  var waiters: [ThreadParker] = []
  /// Of these, who must be woken once the state is unlocked.
  var wakeable: [ThreadParker] = []

  /// The clock: nanoseconds since 1970.
  ///
  /// Each call takes a microsecond.
  var now: Int64
  /// Goes up with every change that a crash could show.
  var version = 0
  /// Goes up when the durable state changes, or what a sync may still do.
  var durableVersion = 0
  var journal = CallJournal()
  /// The moments at which a crash would find something new, when they are wanted.
  var crashPoints: [CrashPoint]?

  init(
    _ image: SimulatedImage, nextNode: Int, now: Int64,
    configuration: SimulatedDisk.Configuration, seed: UInt64
  ) {
    self.configuration = configuration
    device = SimulatedDevices.next()
    random = SeededGenerator(seed: seed)
    visible = image
    durable = image
    self.nextNode = nextNode
    self.now = now
  }

  mutating func advanceClock(by nanoseconds: Int64) {
    let (sum, isLate) = now.addingReportingOverflow(nanoseconds)
    now = isLate ? .max : sum
  }

  /// Makes a change that a sync must still make durable.
  @discardableResult
  mutating func change(
    _ effect: PendingChange.Effect, path: String, requires: Int? = nil
  ) -> Int {
    visible.apply(effect)
    let number = nextChange
    nextChange += 1
    version += 1
    pending.append(
      PendingChange(
        number: number, call: journal.callCount, effect: effect, requires: requires, path: path))
    return number
  }

  /// Adds a file that no name leads to yet; on the medium, too, because without a name nobody can tell.
  mutating func makeNode(
    _ kind: FileStatus.Kind, mode: FileMode, in directory: Int, destination: String = ""
  ) -> Int {
    let number = nextNode
    nextNode += 1
    var node = SimulatedNode(kind, mode: mode, now: now)
    node.destination = destination
    if let parent = visible[directory], parent.mode.rawValue & 0o2000 != 0 {
      // A set-group-id directory passes its group on, and the bit to directories.
      node.group = parent.group
      if kind == .directory { node.mode = FileMode(rawValue: mode.rawValue | 0o2000) }
    }
    visible.add(number, node)
    durable.add(number, node)
    return number
  }

  /// Frees a file that has neither a name nor an open description.
  mutating func release(_ node: Int) {
    guard let found = visible[node], found.links == 0 else { return }
    guard !descriptions.values.contains(where: { $0.node == node }) else { return }
    visible.remove(node)
    // Its names may still be on the medium. Its contents, without a name, matter to nobody.
    if durable[node]?.links == 0, !isNamedByPending(node) {
      durable.remove(node)
      pending.removeAll { $0.node == node }
      durableVersion += 1
    }
  }

  func isNamedByPending(_ node: Int) -> Bool {
    pending.contains { change in
      guard case .names(let changes, _) = change.effect else { return false }
      return changes.contains { $0.node == node || $0.directory == node }
    }
  }

  /// Keeps this moment when something a crash could show has changed since the last one.
  mutating func recordCrashPoint() {
    guard let points = crashPoints, points.last?.version != version else { return }
    let now = crashPointNow
    crashPoints?.append(now)
  }

  /// Makes everything durable, as a long idle time would.
  mutating func settle() {
    visible = visible.keeping(Set(descriptions.values.map(\.node)))
    durable = visible
    pending = []
    version += 1
    durableVersion += 1
  }
}

/// An open file description: what `open` makes and `dup` shares.
struct OpenDescription: Sendable {
  var node: Int
  var flags: OpenFlags
  var position = 0
  var path: String
  var references = 1
}

struct RangeLock: Sendable {
  var owner: Int
  var range: Range<Int64>
  var operation: LockOperation
}

extension SimulatedImage {
  /// What names lead to, and these.
  func keeping(_ open: Set<Int>) -> SimulatedImage {
    var result = settled()
    for node in open where result[node] == nil {
      if var kept = self[node] {
        kept.links = 0
        result.add(node, kept)
      }
    }
    return result
  }
}

/// All that a crash at one moment depends on.
struct CrashPoint: Sendable {
  var version: Int
  var durableVersion: Int
  var callCount: Int
  var durable: SimulatedImage
  var pending: [PendingChange]
  var nextNode: Int
  var now: Int64
  /// How many notes were made before.
  var acknowledged: Int
}
