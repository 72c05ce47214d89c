import ProcessSupervision
import ReliabilityTestSupport
import Testing

extension RealTimeProcessTests {
  /// What is left of many runs of everything that goes wrong: nothing.
  @Suite struct Leaks {
    private typealias Misdeed = (
      script: String, limits: @Sendable (inout ProcessConfiguration) -> Void
    )

    private static let misdeeds: [Misdeed] = [
      ("exit 0", { _ in }),
      ("echo broken >&2; exit 3", { _ in }),
      ("kill -KILL $$", { _ in }),
      // A helper that holds the pipe.
      ("sleep 600 & exit 0", { $0.grace = .milliseconds(200) }),
      // Heeds nothing.
      ("trap '' TERM; while :; do sleep 600; done", { $0.limits.total = .milliseconds(20) }),
      ("head -c 400000 /dev/zero >&2", { $0.limits.output = 10_000 }),
      ("echo 100%; exec sleep 600", { $0.limits.stall = .milliseconds(20) }),
    ]

    @Test(.timeLimit(.minutes(15)))
    func aThousandRunsOfToolsThatMisbehaveLeaveNoChildAndNoDescriptor() async {
      await #expect(processExitsWith: .success) {
        _ = try await Shell.run(":")
        let before = Shell.descriptors
        await withTaskGroup { group in
          for worker in 0..<8 {
            group.addTask {
              for number in stride(from: worker, to: 1000, by: 8) {
                let misdeed = Leaks.misdeeds[number % Leaks.misdeeds.count]
                var configuration = ProcessConfiguration()
                configuration.grace = .milliseconds(20)
                misdeed.limits(&configuration)
                if number % 50 == 49 {
                  _ = await failure { try await runProcess("/no/such/program") }
                } else {
                  _ = try? await Shell.run(misdeed.script, configuration)
                }
              }
            }
          }
        }
        #expect(Shell.descriptors == before)
        #expect(Shell.children.isEmpty)
      }
    }
  }
}
