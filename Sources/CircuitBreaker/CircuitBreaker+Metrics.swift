public import ReliabilityCore

extension CircuitBreaker {
  /// The state, the calls by how they ended, rejections, transitions, and the part of failures in the window.
  ///
  /// Counters never fall: they are apart from the window, and no change of state touches them.
  public func samples() -> [MetricSample] {
    let (state, counts, tally) = inspect { guarded, now in
      let machine = guarded.machine.advanced(to: now)
      return (machine.state, guarded.counts, machine.window.tally)
    }
    let ratio = tally.calls == 0 ? 0 : Double(tally.failures) / Double(tally.calls)
    let label = (name: "name", value: name)
    return State.allCases.map {
      MetricSample(
        name: "breaker_state", kind: .gauge,
        labels: [label, (name: "state", value: $0.rawValue)], value: $0 == state ? 1 : 0,
        help: "Whether the breaker is in this state")
    }
      + counts.samples(label) + [
        MetricSample(
          name: "breaker_failure_ratio", kind: .gauge, labels: [label], value: ratio,
          help: "Part of the calls in the window that failed")
      ]
  }

  /// How many calls ended in which way.
  var counts: BreakerCounts { inspect { guarded, _ in guarded.counts } }
}

extension BreakerCounts {
  func samples(_ name: (name: String, value: String)) -> [MetricSample] {
    func counter(
      _ metric: String, _ value: Int, _ label: (name: String, value: String)? = nil, _ help: String
    ) -> MetricSample {
      MetricSample(
        name: metric, kind: .counter, labels: [name] + (label.map { [$0] } ?? []),
        value: Double(value), help: help)
    }
    return Kind.allCases.map {
      counter(
        "breaker_calls_total", self[$0], (name: "outcome", value: "\($0)"),
        "Calls that were admitted and ended")
    } + [
      counter("breaker_slow_calls_total", slow, nil, "Calls that took too long"),
      counter("breaker_rejections_total", rejected, nil, "Calls that were turned away"),
    ]
      + CircuitBreaker.State.allCases.map {
        counter(
          "breaker_transitions_total", transitions[$0, default: 0],
          (name: "to", value: $0.rawValue), "Changes of state")
      }
  }
}
