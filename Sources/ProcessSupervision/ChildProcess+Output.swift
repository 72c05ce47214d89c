internal import CReliability

// What a child writes: on the loop's thread.

extension ChildProcess {
  func read(_ source: ProcessLine.Source, atMost times: Int = 4) {
    for _ in 0..<times {
      let descriptor = source == .output ? output : error
      guard descriptor >= 0, !isPaused else { return }
      let count = unsafe creliability_read(descriptor, loop.buffer.baseAddress!, loop.buffer.count)
      if count > 0 {
        unsafe take(UnsafeRawBufferPointer(rebasing: loop.buffer[..<count]), source)
      } else if count == 0 || creliability_would_block(Int32(-count)) == 0 {
        if source == .output { closePipe(&output) } else { closePipe(&error) }
        if output < 0, error < 0 { apply { $0.pipesClosed(at: $1) } }
        return
      } else {
        return
      }
    }
  }

  private func take(_ bytes: UnsafeRawBufferPointer, _ source: ProcessLine.Source) {
    switch source {
    case .output:
      unsafe outputTail.append(bytes)
      let room = configuration.capturedBytes - captured.count
      if room > 0 { unsafe captured.append(contentsOf: bytes.prefix(room)) }
    case .error: unsafe errorTail.append(bytes)
    }
    let count = bytes.count
    let chunk = LineBuffer.Chunk(source: source, bytes: unsafe Array(bytes))
    let mustPause = lines.append(chunk, mayPause: endedAt == nil)
    apply { $0.output(count, at: $1) }
    if mustPause { pauseReading() }
  }

  private func pauseReading() {
    guard !isPaused, endedAt == nil else { return }
    isPaused = true
    if output >= 0 { loop.unwatch(output) }
    if error >= 0 { loop.unwatch(error) }
    apply { machine, now in
      machine.readingPaused(true, at: now)
      return []
    }
  }

  func closePipe(_ descriptor: inout Int32) {
    guard descriptor >= 0 else { return }
    loop.unwatch(descriptor)
    creliability_close(descriptor)
    descriptor = -1
  }
}
