import ReliabilityCore
import Testing

@Suite struct SaturatingDurationTests {
  static let extremes: [Duration] = [
    .zero, .nanoseconds(1), .seconds(1), .seconds(-1), .seconds(Int64.max), .seconds(Int64.min),
    Duration(secondsComponent: .max, attosecondsComponent: 999_999_999_999_999_999),
    Duration(secondsComponent: .min, attosecondsComponent: -999_999_999_999_999_999),
  ]

  @Test func sumsAndDifferencesOfExtremesStayBetweenZeroAndTheLimit() {
    for left in Self.extremes {
      for right in Self.extremes {
        #expect(left.saturatingAdd(right) >= .zero)
        #expect(left.saturatingAdd(right) <= .saturated)
        #expect(left.saturatingSubtract(right) >= .zero)
      }
    }
    #expect(Duration.seconds(1).saturatingAdd(.seconds(2)) == .seconds(3))
    #expect(Duration.seconds(3).saturatingSubtract(.seconds(1)) == .seconds(2))
    #expect(Duration.seconds(1).saturatingSubtract(.seconds(3)) == .zero)
  }

  @Test func productsOfExtremesStayBetweenZeroAndTheLimit() {
    let factors: [Double] = [
      0, -0.0, 1, -1, .nan, .infinity, -.infinity, .greatestFiniteMagnitude, .leastNonzeroMagnitude,
    ]
    for duration in Self.extremes {
      for factor in factors {
        for limit in Self.extremes {
          let product = duration.saturatingMultiply(by: factor, limit: limit)
          #expect(product >= .zero && product <= max(.zero, limit))
        }
      }
    }
    #expect(Duration.seconds(2).saturatingMultiply(by: 1.5) == .seconds(3))
  }

  @Test func instantsAdvancedByExtremesDoNotTrap() {
    let now = ContinuousClock.now
    for duration in Self.extremes {
      #expect(now.saturatingAdvanced(by: duration) >= now)
    }
  }

  @Test func nanosecondsAreLimitedToTheirRange() {
    #expect(Duration.seconds(Int64.max).nanoseconds == .max)
    #expect(Duration.seconds(Int64.min).nanoseconds == .min)
    #expect((Duration.seconds(Int64.max) * 4).nanoseconds == .max)
    #expect((Duration.seconds(Int64.min) * 4).nanoseconds == .min)
    #expect(Duration.milliseconds(1500).nanoseconds == 1_500_000_000)
  }
}

@Suite struct WallTimeTests {
  @Test(arguments: [
    (Int64(0), "1970-01-01T00:00:00Z"), (951_782_400, "2000-02-29T00:00:00Z"),
    (1_736_951_422, "2025-01-15T14:30:22Z"), (4_102_444_799, "2099-12-31T23:59:59Z"),
    (-1, "1969-12-31T23:59:59Z"),
  ])
  func secondsBecomeTheDateOfTheCalendar(seconds: Int64, text: String) {
    #expect(WallTime(secondsSince1970: seconds).description == text)
  }

  @Test func everyDayOfFourCenturiesSurvivesTheRoundTrip() {
    for day in stride(from: Int64(-100_000), through: 100_000, by: 1) {
      let time = WallTime(secondsSince1970: day * 86_400 + 3661)
      #expect(CivilTime(time).secondsSince1970 == time.secondsSince1970)
    }
  }

  @Test func extremesDoNotTrap() {
    for seconds in [Int64.min, .max] {
      let time = WallTime(secondsSince1970: seconds)
      #expect(!time.description.isEmpty)
      #expect(time.duration(since: WallTime(secondsSince1970: -(seconds / 2))) != .zero)
    }
  }
}
