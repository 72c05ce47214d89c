import Reliability

/// Starts and stops everything that runs, again and again: no descriptor, task, thread, lock, file or memory is left.
enum Cycles {
  struct Work: DurableJob {
    static let kind = "work"
    var number: Int
  }

  static func run(_ arguments: Arguments, _ findings: Findings) async throws {
    let scratch = Scratch(arguments)
    let count = arguments.int("count", default: 200)
    // To find out which part it is that leaves something.
    let only = arguments["only"]
    await startDiskThreads(scratch)
    // What is made once and kept: threads, tables, the files themselves.
    for number in 0..<min(20, count / 4) { try await cycle(number, only: only, scratch, findings) }
    let names = scratch.names
    let before = (descriptors: Process.descriptors, threads: Process.threads)
    var growths: [Int] = []
    for round in 0..<4 {
      let heap = await Process.settledHeapBytes()
      for number in 0..<count / 4 { try await cycle(round + number, only: only, scratch, findings) }
      growths.append(await Process.settledHeapBytes() - heap)
    }
    // Threads come and go; one that each cycle leaves behind would be one of hundreds.
    let threadsSettle = await Process.settles { Process.threads <= before.threads + 4 }
    let descriptorsSettle = await Process.settles { Process.descriptors <= before.descriptors }
    findings.expect(
      descriptorsSettle, "\(Process.descriptors) descriptors after \(before.descriptors)")
    findings.expect(threadsSettle, "\(Process.threads) threads after \(before.threads)")
    // Tables that fill up grow in one round or the other; what each cycle keeps grows in every one.
    let growth = growths.min() ?? 0
    // With few cycles there is nothing but tables that fill up.
    findings.expect(
      count < 200 || growth < 16_384 + 24 * count, "the heap grew by \(growths) bytes")
    findings.expect(scratch.names == names, "files: \(Set(scratch.names).subtracting(names))")
    findings.note(
      "\(count) cycles: \(Process.descriptors) descriptors (\(before.descriptors) before), "
        + "\(Process.threads) threads (\(before.threads)), heap \(growths) bytes more")
  }

  /// The disk threads are made when they are first needed, and stay: all of them now.
  private static func startDiskThreads(_ scratch: Scratch) async {
    await withTaskGroup { group in
      for index in 0..<64 {
        group.addTask {
          _ = try? await AtomicFile.replace(scratch.file("warm \(index)"), with: [])
        }
      }
    }
  }

  /// One start and stop of each: every third is stopped at once, before it has really begun.
  private static func cycle(
    _ number: Int, only: String?, _ scratch: Scratch, _ findings: Findings
  ) async throws {
    let isHasty = number.isMultiple(of: 3)
    let gone = Gone()
    func does(_ part: String) -> Bool { only == nil || only == part }
    if does("queue") { try await queue(number, scratch, gone, isHasty) }
    if does("monitor") { await monitor(gone, isHasty) }
    if does("pool") { try await pool(gone, isHasty) }
    if does("lock") { try await lock(scratch, gone) }
    if does("store") { try await store(number, scratch, gone) }
    let isGone = await Process.settles { gone.isComplete }
    findings.expect(isGone, "cycle \(number): \(gone.left) not gone")
  }

  private static func queue(
    _ number: Int, _ scratch: Scratch, _ gone: Gone, _ isHasty: Bool
  ) async throws {
    var options = FileJobStore.Options()
    options.limits.endedKept = 10
    options.durability = .none
    options.compactionSlack = 4096
    let store = try await FileJobStore(scratch.file("jobs"), options: options)
    let letters = try await DeadLetterQueue<Work>(scratch.file("letters"), configuration: few)
    var configuration = JobQueue.Configuration()
    configuration.deadLetters = letters
    let queue = JobQueue(store, configuration: configuration) {
      $0.handle(Work.self) { job, _ in
        if job.number.isMultiple(of: 5) { throw ValidationError("refused") }
      }
    }
    gone.expect(queue, "queue")
    gone.expect(store, "store")
    let running = Task { await queue.run() }
    if !isHasty {
      for index in 0..<5 { try await queue.enqueue(Work(number: index)) }
      try await queue.drain()
    }
    running.cancel()
    await running.value
    try await letters.close()
    try await store.close()
  }

  private static let few = {
    var configuration = DeadLetterConfiguration()
    configuration.retention.maximumCount = 5
    configuration.durability = .none
    return configuration
  }()

  private static func monitor(_ gone: Gone, _ isHasty: Bool) async {
    let ran = Tally()
    let monitor = HealthMonitor([
      HealthCheck("quick", interval: .milliseconds(1)) {
        ran.add()
        return .pass
      },
      // Hangs until it is cancelled.
      HealthCheck("slow", timeout: .seconds(60)) {
        try await ContinuousClock().wait(for: .seconds(3600))
        return .pass
      },
    ])
    gone.expect(monitor, "monitor")
    let running = Task { await monitor.run() }
    if !isHasty { _ = await Process.settles { ran.value > 0 } }
    running.cancel()
    await running.value
  }

  private final class Connection: Sendable {}

  private static func pool(_ gone: Gone, _ isHasty: Bool) async throws {
    let open = Tally()
    let pool = ResourcePool(name: "cycle") {
      open.add()
      return Connection()
    } close: { _ in
      open.add(-1)
    }
    gone.expect(pool, "pool")
    let running = Task { await pool.run() }
    if !isHasty {
      try await withThrowingTaskGroup { group in
        for _ in 0..<4 {
          group.addTask { try await pool.withResource { _ in await Task.yield() } }
        }
        try await group.waitForAll()
      }
    }
    await pool.stop()
    await running.value
    gone.expect("\(open.value) connections") { open.value == 0 }
  }

  private static func lock(_ scratch: Scratch, _ gone: Gone) async throws {
    let lock = BackoffLock(scratch.file("lock"))
    gone.expect(lock, "lock")
    try await withThrowingTaskGroup { group in
      for _ in 0..<4 { group.addTask { try await lock.withLock { _ in await Task.yield() } } }
      // One that leaves the queue.
      let waiter = Task { try await lock.withLock { _ in } }
      waiter.cancel()
      _ = await waiter.result
      try await group.waitForAll()
    }
  }

  private static func store(_ number: Int, _ scratch: Scratch, _ gone: Gone) async throws {
    let store = try await TransactionStore(scratch.path)
    gone.expect(store, "transaction store")
    try await store.commit { transaction in
      try transaction.replace("last", with: Array("\(number)".utf8))
    }
    try await store.close()
  }
}

/// What must be gone when a cycle is over: a task that was left behind would still hold it.
private final class Gone: Sendable {
  private struct Item: Sendable {
    var name: String
    var isGone: @Sendable () -> Bool
  }

  private let items = Collected<Item>()

  func expect(_ object: some AnyObject & Sendable, _ name: String) {
    let reference = Reference(object)
    expect(name) { reference.object == nil }
  }

  func expect(_ name: String, _ isGone: @escaping @Sendable () -> Bool) {
    items.add(Item(name: name, isGone: isGone))
  }

  var left: [String] { items.all.filter { !$0.isGone() }.map(\.name) }
  var isComplete: Bool { left.isEmpty }

  private final class Reference<Object: AnyObject & Sendable>: Sendable {
    private let box: Lock<Weak<Object>>
    init(_ object: Object) { box = Lock(Weak(object: object)) }
    var object: Object? { box.withLock { $0.object } }
  }

  private struct Weak<Object: AnyObject & Sendable>: Sendable {
    weak var object: Object?
  }
}
