#if canImport(Glibc)
  internal import Glibc
#elseif canImport(Musl)
  internal import Musl
#elseif canImport(Darwin)
  internal import Darwin
#endif

/// A system call on a socket that failed.
public struct SocketError: Error, Hashable, CustomStringConvertible {
  /// The call, such as `bind`.
  public let call: String
  /// The error number it left.
  public let number: Int32

  /// The call and the system's text for the number.
  public var description: String {
    let text = unsafe strerror(number).map { unsafe String(cString: $0) } ?? "error \(number)"
    return "\(call): \(text)"
  }

  static func last(_ call: String) -> SocketError { SocketError(call: call, number: errno) }
}

/// A TCP socket: the few calls that server and client need, each retried when a signal interrupts it.
///
/// Blocking on purpose: every connection has a thread of its own, outside the cooperative pool.
struct Socket: Sendable {
  let descriptor: Int32

  #if canImport(Darwin)
    private static let sendFlags: Int32 = 0
    private static let peerClosed = Int16(0)
  #else
    private static let sendFlags = Int32(MSG_NOSIGNAL)
    // POLLRDHUP, which the C library shows to those who ask for GNU extensions only.
    private static let peerClosed = Int16(0x2000)
  #endif

  /// Listens on an address.
  ///
  /// - Parameters:
  ///   - address: The address.
  ///   - backlog: How many connections may wait to be accepted.
  static func listen(
    on address: SocketAddress, backlog: Int32 = 512
  ) throws(SocketError) -> Socket {
    let socket = try Socket.open(for: address)
    do throws(SocketError) {
      try socket.set(SO_REUSEADDR, to: 1)
      let bound = unsafe address.withPointer { pointer, length in
        unsafe bind(socket.descriptor, pointer, length)
      }
      guard bound == 0 else { throw .last("bind") }
      guard systemListen(socket.descriptor, backlog) == 0 else { throw .last("listen") }
      return socket
    } catch {
      socket.close()
      throw error
    }
  }

  /// Listens on 127.0.0.1.
  ///
  /// - Parameter port: The port, or zero for any free one.
  static func listen(port: UInt16) throws(SocketError) -> Socket {
    guard let address = SocketAddress.literal(host: "127.0.0.1", port: port) else {
      throw SocketError(call: "getaddrinfo", number: EINVAL)
    }
    return try listen(on: address)
  }

  /// The port the socket is bound to.
  var port: UInt16 {
    unsafe SocketAddress.filled { unsafe getsockname(descriptor, $0, $1) }?.port ?? 0
  }

  /// The address of the other side.
  var peer: SocketAddress? {
    unsafe SocketAddress.filled { unsafe getpeername(descriptor, $0, $1) }
  }

  /// Waits until there is something to read, or the other side is gone.
  ///
  /// - Returns: Whether that happened in time.
  func waitToRead(for limit: Duration) -> Bool {
    let end = ContinuousClock.now.advanced(by: limit)
    while true {
      let left = ContinuousClock.now.duration(to: end)
      guard left > .zero else { return false }
      var entry = pollfd(descriptor: descriptor, events: Int16(POLLIN))
      let milliseconds = Int32(min((left / .milliseconds(1)).rounded(.up), 60_000))
      let result = unsafe poll(&entry, 1, milliseconds)
      if result > 0 { return true }
      if result < 0, errno != EINTR { return true }
    }
  }

  /// The next connection, or `nil` once ``shutDown()`` was called.
  func accept() -> Socket? {
    while true {
      let accepted = systemAccept(descriptor)
      if accepted >= 0 {
        _ = fcntl(accepted, F_SETFD, FD_CLOEXEC)
        let socket = Socket(descriptor: accepted)
        #if canImport(Darwin)
          try? socket.set(SO_NOSIGPIPE, to: 1)
        #endif
        // Answers are written in one piece where possible; what is small must not wait for what comes next.
        var one: Int32 = 1
        _ = unsafe setsockopt(
          accepted, Int32(IPPROTO_TCP), TCP_NODELAY, &one, socklen_t(MemoryLayout<Int32>.size))
        return socket
      }
      switch errno {
      case EINTR, ECONNABORTED: continue
      case EMFILE, ENFILE, ENOBUFS, ENOMEM: usleep(10_000)
      default: return nil
      }
    }
  }

  private func set(_ option: Int32, to value: Int32) throws(SocketError) {
    var value = value
    let size = socklen_t(MemoryLayout<Int32>.size)
    guard unsafe setsockopt(descriptor, SOL_SOCKET, option, &value, size) == 0 else {
      throw .last("setsockopt")
    }
  }

  /// Limits how long one send or receive may block; at least a millisecond.
  func setTimeout(_ limit: Duration) {
    let milliseconds = Int(min(max(limit / .milliseconds(1), 1), 1e12))
    var time = timeval()
    time.tv_sec = milliseconds / 1000
    time.tv_usec = .init(milliseconds % 1000 * 1000)
    let size = socklen_t(MemoryLayout<timeval>.size)
    _ = unsafe setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &time, size)
    _ = unsafe setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &time, size)
  }

  func setTimeout(seconds: Int) { setTimeout(.seconds(seconds)) }

  /// Whether the connection is open and nothing came that nobody asked for.
  var isSilent: Bool {
    var entry = pollfd(descriptor: descriptor, events: Int16(POLLIN))
    return unsafe poll(&entry, 1, 0) == 0
  }

  /// Reads what is there, up to the buffer's size.
  ///
  /// - Returns: The number of bytes; zero at the end, at an error and after the time limit.
  func receive(into buffer: UnsafeMutableRawBufferPointer) -> Int {
    while true {
      let count = unsafe recv(descriptor, buffer.baseAddress, buffer.count, 0)
      if count >= 0 { return count }
      if errno != EINTR { return 0 }
    }
  }

  /// Writes everything.
  ///
  /// - Returns: Whether the other side took it all in time.
  func send(_ bytes: UnsafeRawBufferPointer) -> Bool {
    var rest = unsafe bytes
    while let base = rest.baseAddress, unsafe !rest.isEmpty {
      let count = unsafe systemSend(descriptor, base, rest.count, Self.sendFlags)
      if count < 0 {
        if errno == EINTR { continue }
        return false
      }
      unsafe rest = UnsafeRawBufferPointer(rebasing: rest[count...])
    }
    return true
  }

  /// Waits, but no longer than the peer is there.
  ///
  /// - Returns: Whether the time passed with the peer still there.
  func wait(for duration: Duration) -> Bool {
    let clock = ContinuousClock()
    let end = clock.now.advanced(by: duration)
    while true {
      let left = clock.now.duration(to: end)
      guard left > .zero else { return true }
      let milliseconds = left / .milliseconds(1)
      var entry = pollfd(descriptor: descriptor, events: Self.peerClosed)
      let result = unsafe poll(&entry, 1, Int32(min(milliseconds.rounded(.up), 60_000)))
      if result > 0 || (result < 0 && errno != EINTR) { return false }
    }
  }

  /// Passes on what either side sends, until one of them ends or both are silent for too long.
  static func pump(between left: Socket, and right: Socket, idle: Duration) {
    let limit = Int32(min((idle / .milliseconds(1)).rounded(.up), 86_400_000))
    unsafe withUnsafeTemporaryAllocation(byteCount: 65_536, alignment: 1) { buffer in
      while true {
        var entries = [
          pollfd(descriptor: left.descriptor, events: Int16(POLLIN)),
          pollfd(descriptor: right.descriptor, events: Int16(POLLIN)),
        ]
        let result = unsafe poll(&entries, 2, limit)
        if result < 0, errno == EINTR { continue }
        guard result > 0 else { return }
        for (index, (from, to)) in [(left, right), (right, left)].enumerated()
        where entries[index].revents != 0 {
          let count = unsafe from.receive(into: buffer)
          guard count > 0 else { return }
          guard unsafe to.send(UnsafeRawBufferPointer(rebasing: buffer[..<count])) else { return }
        }
      }
    }
  }

  /// Wakes whoever waits to read; what is being sent is still sent.
  func shutDownReading() {
    _ = shutdown(descriptor, Int32(SHUT_RD))
  }

  /// Wakes every thread that is blocked on the socket.
  ///
  /// It still has to be closed.
  func shutDown() {
    _ = shutdown(descriptor, Int32(SHUT_RDWR))
  }

  /// Tells the peer that nothing more comes and drops, for a moment, what it still sends, so that the last answer is
  /// not lost to a reset.
  func finishSending() {
    _ = shutdown(descriptor, Int32(SHUT_WR))
    setTimeout(seconds: 1)
    unsafe withUnsafeTemporaryAllocation(byteCount: 16_384, alignment: 1) { buffer in
      var drained = 0
      while drained < 1 << 20 {
        let count = unsafe receive(into: buffer)
        if count == 0 { return }
        drained += count
      }
    }
  }

  func close() {
    _ = systemClose(descriptor)
  }

  /// Closes with a reset (RST) instead of the orderly end, as a crashed peer or a middlebox does.
  func reset() {
    var option = linger(l_onoff: 1, l_linger: 0)
    _ = unsafe setsockopt(
      descriptor, SOL_SOCKET, SO_LINGER, &option, socklen_t(MemoryLayout<linger>.size))
    close()
  }
}

extension pollfd {
  fileprivate init(descriptor: Int32, events: Int16) {
    self.init(fd: descriptor, events: events, revents: 0)
  }
}

// The members of `Socket` hide the C functions of the same names.
private func systemListen(_ descriptor: Int32, _ backlog: Int32) -> Int32 {
  listen(descriptor, backlog)
}
private func systemClose(_ descriptor: Int32) -> Int32 { close(descriptor) }
private func systemSend(
  _ descriptor: Int32, _ bytes: UnsafeRawPointer, _ count: Int, _ flags: Int32
) -> Int {
  unsafe send(descriptor, bytes, count, flags)
}
private func systemAccept(_ descriptor: Int32) -> Int32 { accept(descriptor, nil, nil) }
