internal import ReliabilityCore

/// Goes off on the scheduler's thread and hands over to the loop's.
final class ChildAlarm: Alarm, @unchecked Sendable {
  private let child: ChildProcess
  private let loop: ProcessLoop

  init(_ child: ChildProcess, _ loop: ProcessLoop) {
    (self.child, self.loop) = (child, loop)
    super.init()
  }

  override func fire() { loop.post { self.child.alarmFired(self) } }
}

/// Lets the line buffer, which the child owns, call the child without keeping it.
final class Resumption: @unchecked Sendable {
  private let loop: ProcessLoop
  // Written once, before the buffer is used.
  private weak var child: ChildProcess?

  init(_ loop: ProcessLoop) { self.loop = loop }

  func set(_ child: ChildProcess) { self.child = child }

  func resume() {
    guard let child else { return }
    loop.post { child.resumeReading() }
  }
}
