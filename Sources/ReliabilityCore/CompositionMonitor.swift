internal import Synchronization

/// Tells about policies that are nested in a harmful way: each place in the code once.
///
/// Policies compose by nesting closures, so nobody sees the whole before it runs. While it runs, each of them meets what is
/// around it. Set an observer at the start of a program, in its tests or for good:
///
///     CompositionMonitor.shared.observer = { event in
///       logger.warning("\(event)")
///     }
///
/// Costs nothing while nobody observes: what could be an event is found on paths that are slow already (a failure, a limit cut
/// short by an outer one), and there one flag is read.
public final class CompositionMonitor: MetricsSource {
  /// The monitor of the process.
  public static let shared = CompositionMonitor()

  /// How many places are remembered as told; what happens at others is counted only.
  static let placeLimit = 1000

  private static let observed = Atomic(false)

  private struct Place: Hashable {
    var kind: CompositionEvent.Kind
    var fileID: String
    var line: UInt
  }

  private struct State {
    var observer: (@Sendable (CompositionEvent) -> Void)?
    var told: Set<Place> = []
    var counts: [CompositionEvent.Kind: Int] = [:]
  }

  private let state = Lock(State())

  private init() {}

  /// Told about each harmful nesting, once for each kind and place in the code; `nil` for nobody.
  ///
  /// Called on the task that ran into it, outside locks. Setting another one makes everything new again.
  public var observer: (@Sendable (CompositionEvent) -> Void)? {
    get { state.withLock { $0.observer } }
    set {
      // The old one leaves the lock before it is released: a `deinit` of somebody else's may run then.
      var replaced = newValue
      state.withLock { state in
        swap(&state.observer, &replaced)
        state.told = []
        Self.observed.store(state.observer != nil, ordering: .relaxed)
      }
    }
  }

  /// Whether anybody wants to know.
  ///
  /// Ask before looking for an event.
  package static var isObserved: Bool { observed.load(ordering: .relaxed) }

  /// Tells the observer, unless it was told of this place before.
  package func tell(_ event: CompositionEvent) {
    let observer = state.withLock { state -> (@Sendable (CompositionEvent) -> Void)? in
      guard state.observer != nil else { return nil }
      state.counts[event.kind, default: 0] += 1
      let place = Place(kind: event.kind, fileID: event.fileID, line: event.line)
      guard state.told.count < Self.placeLimit, state.told.insert(place).inserted else {
        return nil
      }
      return state.observer
    }
    observer?(event)
  }

  /// How often each trap was run into while somebody observed, every time counted.
  public func samples() -> [MetricSample] {
    let counts = state.withLock { $0.counts }
    return counts.sorted { $0.key.rawValue < $1.key.rawValue }.map { kind, count in
      MetricSample(
        name: "policy_composition_events_total", kind: .counter,
        labels: [(name: "kind", value: kind.rawValue)], value: Double(count),
        help: "Harmful nestings of policies that were run into")
    }
  }
}
