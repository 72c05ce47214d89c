/// What is to be visited, what is being visited, and what has been: the crawl's memory, without any of its doing.
struct Frontier: Sendable {
  struct Page: Hashable, Sendable {
    var address: WebAddress
    var depth: Int
  }

  struct Candidate: Hashable, Sendable {
    var address: WebAddress
    /// The page that refers to it.
    var page: PageContext
  }

  enum Job: Hashable, Sendable {
    case page(Page)
    case candidate(Candidate)
  }

  /// What has become of a page that can be forgotten.
  struct FinishedPage: Hashable, Sendable {
    var address: WebAddress
  }

  private let mostPages: Int
  /// The most addresses that are remembered; what is found after that is left out and counted.
  private let capacity: Int
  private var pages: [Page] = []
  private var nextPage = 0
  private var candidates: [Candidate] = []
  private var seen: Set<WebAddress> = []
  private var open: [WebAddress: Int] = [:]

  /// Pages that were begun, those of interrupted runs included.
  private(set) var pagesBegun = 0
  private(set) var jobsUnderWay = 0
  /// Addresses for which there was no room.
  private(set) var leftOut = 0

  init(mostPages: Int, capacity: Int? = nil) {
    self.mostPages = mostPages
    self.capacity =
      capacity
      ?? min(500_000, max(20_000, mostPages.multipliedReportingOverflow(by: 20).partialValue))
  }

  /// Notes a page to be visited.
  ///
  /// - Returns: Whether it is new and will be.
  @discardableResult
  mutating func add(_ page: Page) -> Bool {
    guard notes(page.address) else { return false }
    pages.append(page)
    return true
  }

  /// Notes a candidate that a page refers to; the page is finished when its candidates are.
  ///
  /// - Returns: Whether it is new.
  @discardableResult
  mutating func add(_ candidate: Candidate) -> Bool {
    guard notes(candidate.address) else { return false }
    candidates.append(candidate)
    open[candidate.page.address, default: 0] += 1
    return true
  }

  /// Notes what an interrupted run has done already.
  mutating func skip(_ address: WebAddress, wasPage: Bool) {
    seen.insert(address)
    if wasPage { pagesBegun += 1 }
  }

  /// Notes a candidate that the outputs have already.
  ///
  /// - Returns: Whether it is met for the first time.
  mutating func addKnown(_ address: WebAddress) -> Bool { notes(address) }

  private mutating func notes(_ address: WebAddress) -> Bool {
    if seen.contains(address) { return false }
    guard seen.count < capacity else {
      leftOut += 1
      return false
    }
    seen.insert(address)
    return true
  }

  /// What to do next: candidates first, because pages wait for theirs; then pages in the order they were found.
  mutating func next() -> Job? {
    if let candidate = candidates.popLast() {
      jobsUnderWay += 1
      return .candidate(candidate)
    }
    guard nextPage < pages.count, pagesBegun < mostPages else { return nil }
    let page = pages[nextPage]
    nextPage += 1
    if nextPage >= 1024, nextPage * 2 > pages.count {
      pages.removeFirst(nextPage)
      nextPage = 0
    }
    pagesBegun += 1
    jobsUnderWay += 1
    // The page itself counts as long as it is being read.
    open[page.address, default: 0] += 1
    return .page(page)
  }

  /// A job has come to its end, whatever end.
  ///
  /// - Returns: The page that is finished by it, with all its candidates.
  mutating func finish(_ job: Job, isDecided: Bool = true) -> FinishedPage? {
    jobsUnderWay -= 1
    // A page with an undecided candidate stays open: the next crawl reads it again.
    guard isDecided else { return nil }
    let address: WebAddress
    switch job {
    case .page(let page): address = page.address
    case .candidate(let candidate): address = candidate.page.address
    }
    guard let left = open[address] else { return nil }
    open[address] = left > 1 ? left - 1 : nil
    return left > 1 ? nil : FinishedPage(address: address)
  }

  /// Pages that were found and not begun.
  var pagesWaiting: Int { pages.count - nextPage }

  /// Whether nothing is under way and nothing more will come.
  var isDone: Bool {
    jobsUnderWay == 0 && candidates.isEmpty && (nextPage == pages.count || pagesBegun >= mostPages)
  }
}
