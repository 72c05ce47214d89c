extension DeadLetter {
  /// Which letters are meant: those that have all of what is set.
  ///
  ///     var filter = DeadLetter.Filter.kind("charge")
  ///     filter.category = .network
  ///     filter.olderThan = .seconds(3600)
  public struct Filter: Hashable, Sendable {
    /// One of these letters.
    public var ids: Set<ID>?
    /// Of this kind.
    public var kind: String?
    /// Ended by this kind of trouble.
    public var category: ErrorCategory?
    /// With this trouble.
    public var fingerprint: String?
    /// Here for at least so long.
    ///
    /// Measured on the monotonic clock since the letter came or came back; only across a restart by the wall clock, as far
    /// as the machine was restarted too.
    public var olderThan: Duration?
    /// Here for less than so long.
    public var youngerThan: Duration?
    /// Redriven at least so often.
    public var minimumRedrives: Int?
    /// Redriven at most so often.
    public var maximumRedrives: Int?
    /// Holds this text: in the reason, the payload, the report or the attempts.
    ///
    /// ASCII letters match in either case. Names of JSON members don't count.
    public var text: String?

    /// All letters.
    public init() {}

    /// All letters.
    public static var all: Filter { Filter() }

    /// Letters of one kind.
    public static func kind(_ kind: String) -> Filter {
      var filter = Filter()
      filter.kind = kind
      return filter
    }

    /// Letters with the same trouble.
    public static func fingerprint(_ fingerprint: String) -> Filter {
      var filter = Filter()
      filter.fingerprint = fingerprint
      return filter
    }

    /// Single letters.
    public static func ids(_ ids: some Sequence<ID>) -> Filter {
      var filter = Filter()
      filter.ids = Set(ids)
      return filter
    }
  }

  /// In which order letters are listed: by their ids.
  public enum Order: String, Hashable, Sendable, Codable {
    /// Who came first is first.
    case oldestFirst
    /// Who came last is first.
    case newestFirst
  }

  /// Where the next page begins.
  ///
  /// Stays good whatever comes and goes meanwhile, also across a restart: no letter is listed twice, and none that stays is
  /// left out.
  public struct Cursor: Hashable, Sendable, Codable {
    /// The last letter that was looked at.
    public let after: ID
    /// In which order.
    public let order: Order

    /// Makes a cursor that goes on behind a letter, whether or not it is still here.
    ///
    /// - Parameters:
    ///   - id: The last letter that was seen.
    ///   - order: In which order.
    public init(after id: ID, order: Order = .oldestFirst) {
      (self.after, self.order) = (id, order)
    }
  }

  /// Some of the letters that a filter lets through.
  public struct Page: Sendable {
    /// The letters in order.
    public let letters: [DeadLetter]
    /// Where to go on; `nil` when there are no more.
    public let next: Cursor?
  }

  /// Letters with the same trouble.
  public struct Group: Hashable, Sendable {
    /// What they share.
    public let fingerprint: String
    /// How many there are.
    public let count: Int
    /// The category of the newest.
    public let category: ErrorCategory
    /// The kinds of work, in alphabetical order; 16 at most.
    public let kinds: [String]
    /// The first failure of all.
    public let firstFailure: WallTime
    /// The last failure of all.
    public let lastFailure: WallTime
    /// The oldest letter.
    public let oldest: ID
    /// The newest letter: an example to look at.
    public let newest: ID
  }
}
