import ReliabilityTestSupport
import Testing

/// What runs real processes, one test after another: several count this process's children and descriptors.
@Suite(.realTime, .serialized, .timeLimit(.minutes(15))) enum RealTimeProcessTests {}
