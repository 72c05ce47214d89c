internal import Synchronization

/// A disk in memory that keeps what was written apart from what is durable, fails on demand, and knows every state a
/// crash may leave.
///
///     let disk = SimulatedDisk()
///     disk.fail(.fsync, with: .inputOutput)
///     _ = try? await AtomicFile.replace("a.json", with: bytes, fileSystem: disk.fileSystem)
///     #expect(disk.names(in: "/") == [])
///     print(disk.traceText)
///
/// Hand its ``fileSystem`` to the code under test. Every call is counted, may be made to fail
/// (``fail(_:on:at:with:persistently:)``) and is kept in the ``trace``.
/// `explore` crashes a run at every point and looks at every state.
///
/// The rules are those of Linux, seen by the superuser: no call is refused because of a mode. Relative paths begin at
/// the root directory. The guide <doc:SimulatingDisks> has the crash model.
public final class SimulatedDisk: Sendable {
  let machine: Lock<SimulatedMachine>
  /// How the disk was made.
  public let configuration: Configuration
  let seed: UInt64
  let processIdentifier: Int32

  /// Makes an empty disk.
  ///
  /// - Parameters:
  ///   - seed: Decides the random names that programs choose on it. The same seed gives the same run.
  ///   - configuration: Sizes and habits of the disk.
  public convenience init(seed: UInt64 = 1, configuration: Configuration = Configuration()) {
    requireValid(configuration.validate)
    let now = SimulatedDisk.firstMoment
    self.init(
      SimulatedMachine(
        SimulatedImage(now: now), nextNode: SimulatedImage.root + 1, now: now,
        configuration: configuration, seed: seed),
      seed: seed, processIdentifier: 1000 + Int32(seed % 30_000))
  }

  init(_ machine: SimulatedMachine, seed: UInt64, processIdentifier: Int32) {
    configuration = machine.configuration
    self.seed = seed
    self.processIdentifier = processIdentifier
    self.machine = Lock(machine)
  }

  /// 2025-01-01 00:00 UTC.
  static let firstMoment: Int64 = 1_735_689_600_000_000_000

  /// The disk as the code under test sees it.
  public var fileSystem: FileSystem { FileSystem(SimulatedBackend(disk: self)) }

  /// How many calls were made, those that failed included.
  public var callCount: Int { machine.withLock { $0.journal.callCount } }

  /// How many descriptors are open: what a test of leaks asks at its end.
  public var openDescriptors: Int { machine.withLock { $0.descriptors.count } }

  /// The time by the disk's clock, which gives files their times.
  public var now: WallTime {
    WallTime(nanosecondsSince1970: machine.withLock { $0.now })
  }

  /// Moves the disk's clock; each call moves it by a microsecond, too, up to the last moment there is.
  ///
  /// - Parameter duration: How far forward; nothing happens when it is negative.
  public func advanceClock(by duration: Duration) {
    let step = Int64(clamping: max(0, duration.attoseconds / 1_000_000_000))
    machine.withLock { $0.advanceClock(by: step) }
  }
}

/// Numbers that no two disks of the process share.
enum SimulatedDevices {
  private static let last = Atomic<UInt64>(0xD15C_0000_0000)

  static func next() -> UInt64 { last.add(1, ordering: .relaxed).newValue }
}
