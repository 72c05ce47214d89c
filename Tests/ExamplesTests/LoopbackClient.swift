#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// A client that sends exactly the bytes it is told to.
///
/// Gives up after minutes of silence.
final class LoopbackClient {
  private let descriptor: Int32
  private var isOpen = true

  init(port: UInt16) throws {
    #if canImport(Glibc)
      descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    #else
      descriptor = socket(AF_INET, SOCK_STREAM, 0)
    #endif
    var limit = timeval()
    limit.tv_sec = 300
    _ = unsafe setsockopt(
      descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = port.bigEndian
    address.sin_addr = in_addr(s_addr: UInt32(0x7f00_0001).bigEndian)
    let size = socklen_t(MemoryLayout<sockaddr_in>.size)
    let connected = unsafe withUnsafePointer(to: &address) { pointer in
      unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        unsafe connect(descriptor, $0, size)
      }
    }
    if connected != 0 { throw ConnectionRefused() }
  }

  deinit { close() }

  func close() {
    if isOpen { _ = closeDescriptor(descriptor) }
    isOpen = false
  }

  func send(_ text: String) { send(Array(text.utf8)) }

  func send(_ bytes: [UInt8]) {
    _ = unsafe bytes.withUnsafeBytes {
      unsafe sendBytes(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
    }
  }

  /// Says that nothing more will be sent.
  func finish() { _ = shutdown(descriptor, Int32(SHUT_WR)) }

  /// Whether the other side has said that nothing more comes, or is gone.
  var hasEnded: Bool {
    var byte: UInt8 = 0
    let count = unsafe recv(descriptor, &byte, 1, Int32(MSG_PEEK) | Int32(MSG_DONTWAIT))
    return count >= 0 || (errno != EAGAIN && errno != EWOULDBLOCK)
  }

  enum End { case orderly, reset, silence }

  /// Everything up to the end, and which end it was.
  func readToEnd() -> (text: String, end: End) {
    var all: [UInt8] = []
    while true {
      let (bytes, end) = readSome()
      all += bytes
      if let end { return (String(decoding: all, as: UTF8.self), end) }
    }
  }

  /// One answer: the head, and as much of a body as it promises.
  func readReply(hasBody: Bool = true) -> (head: String, body: String) {
    var head = ""
    while !head.hasSuffix("\r\n\r\n"), let byte = readByte() { head += byte }
    guard hasBody,
      let field = head.split(separator: "\r\n").first(where: { $0.hasPrefix("Content-Length: ") })
    else { return (head, "") }
    var body = ""
    for _ in 0..<(Int(field.dropFirst(16)) ?? 0) { body += readByte() ?? "" }
    return (head, body)
  }

  private func readByte() -> String? {
    let (bytes, _) = readSome(limit: 1)
    return bytes.isEmpty ? nil : String(decoding: bytes, as: UTF8.self)
  }

  private func readSome(limit: Int = 65_536) -> ([UInt8], End?) {
    var buffer = [UInt8](repeating: 0, count: limit)
    let count = unsafe buffer.withUnsafeMutableBytes {
      unsafe recv(descriptor, $0.baseAddress, $0.count, 0)
    }
    if count > 0 { return (Array(buffer[..<count]), nil) }
    if count == 0 { return ([], .orderly) }
    return ([], errno == ECONNRESET ? .reset : .silence)
  }
}

struct ConnectionRefused: Error {}

/// How many descriptors of this process are sockets of a port of this machine.
func openSockets(localPort port: UInt16) -> Int {
  (0..<4096).count { descriptor in
    var address = sockaddr_in()
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    let result = unsafe withUnsafeMutablePointer(to: &address) { pointer in
      unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        unsafe getsockname(Int32(descriptor), $0, &length)
      }
    }
    return result == 0 && UInt16(bigEndian: address.sin_port) == port
  }
}

private func closeDescriptor(_ descriptor: Int32) -> Int32 { close(descriptor) }
private func sendBytes(
  _ descriptor: Int32, _ bytes: UnsafeRawPointer?, _ count: Int, _ flags: Int32
) -> Int {
  unsafe send(descriptor, bytes, count, flags)
}
