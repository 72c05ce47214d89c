/// Checks the arithmetic of the harness itself before each use: a benchmark is only as good as its statistics.
enum SelfCheck {
  /// Traps at the first thing that is wrong.
  ///
  /// Takes microseconds.
  static func run() {
    let hundred = Summary((1...100).map(Double.init).shuffled())
    precondition(hundred.min == 1 && hundred.median == 50.5 && hundred.p99 == 99)
    let one = Summary([7])
    precondition(one.min == 7 && one.median == 7 && one.p99 == 7 && one.samples == 1)
    let odd = Summary([3, 1, 2])
    precondition(odd.median == 2 && odd.p99 == 3)

    precondition(Report.number(1.23456) == "1.2346" && Report.number(.nan) == "null")
    precondition(Report.string("a\"\\\n") == "\"a\\\"\\\\\\u000a\"")

    var time = Result(name: "x/y", unit: .nanoseconds, summary: Summary([18, 20, 22]))
    time.yardstick = ("z", Summary([9, 10, 11]))
    time.figures = [("over_ns", 8)]
    precondition(time.ratio == 2)
    time.scale(toMutexPair: 18)
    precondition(
      Report.json(time) == #"{"name":"x/y","unit":"ns","min":18.0,"median":20.0,"p99":22.0,"#
        + #""samples":3,"yardstick":{"name":"z","min":9.0,"median":10.0,"p99":11.0},"#
        + #""ratio":2.0,"allocations":null,"#
        + #""figures":{"scaled_ns":9.0,"over_ns":8.0,"scaled_over_ns":4.0}}"#)
    var rate = Result(name: "x/z", unit: .rate("jobs/s"), summary: Summary([1, 30, 40]))
    rate.yardstick = ("z", Summary([5, 10, 20]))
    precondition(rate.ratio == 3)
  }
}
