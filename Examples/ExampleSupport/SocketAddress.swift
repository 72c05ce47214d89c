#if canImport(Glibc)
  internal import Glibc
#elseif canImport(Musl)
  internal import Musl
#elseif canImport(Darwin)
  internal import Darwin
#endif

/// An address a socket can connect to, of either version of the protocol.
struct SocketAddress: Hashable, Sendable {
  let family: Int32
  let bytes: [UInt8]

  /// Looks a host up.
  ///
  /// Blocks until the resolver answers.
  ///
  /// - Throws: ``HTTPFetch/Failure/unknownHost(_:)``.
  static func all(host: String, port: UInt16) throws(HTTPFetch.Failure) -> [SocketAddress] {
    var hints = unsafe addrinfo()
    #if canImport(Glibc)
      unsafe hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
    #else
      unsafe hints.ai_socktype = SOCK_STREAM
    #endif
    var list: UnsafeMutablePointer<addrinfo>?
    let status = unsafe getaddrinfo(host, String(port), &hints, &list)
    guard status == 0 else {
      throw .unknownHost("\(host): \(unsafe String(cString: gai_strerror(status)))")
    }
    defer { unsafe freeaddrinfo(list) }
    var addresses: [SocketAddress] = []
    var next = unsafe list
    while let info = unsafe next {
      let raw = unsafe UnsafeRawBufferPointer(
        start: info.pointee.ai_addr, count: Int(info.pointee.ai_addrlen))
      unsafe addresses.append(
        SocketAddress(family: info.pointee.ai_family, bytes: Array(raw)))
      unsafe next = info.pointee.ai_next
    }
    return addresses
  }
}

extension SocketAddress {
  /// The address that a host's text is, in any of the forms the system reads; `nil` for a name.
  static func literal(host: String, port: UInt16) -> SocketAddress? {
    guard let first = host.utf8.first else { return nil }
    // Names are asked about most often, and begin with a letter that no address begins with.
    let isDigit = (UInt8(ascii: "0")...UInt8(ascii: "9")) ~= first
    guard isDigit || host.utf8.contains(UInt8(ascii: ":")) else { return nil }
    var hints = unsafe addrinfo()
    unsafe hints.ai_flags = AI_NUMERICHOST
    #if canImport(Glibc)
      unsafe hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
    #else
      unsafe hints.ai_socktype = SOCK_STREAM
    #endif
    var list: UnsafeMutablePointer<addrinfo>?
    guard unsafe getaddrinfo(host, String(port), &hints, &list) == 0, let info = unsafe list else {
      return nil
    }
    defer { unsafe freeaddrinfo(list) }
    let raw = unsafe UnsafeRawBufferPointer(
      start: info.pointee.ai_addr, count: Int(info.pointee.ai_addrlen))
    return unsafe SocketAddress(family: info.pointee.ai_family, bytes: Array(raw))
  }

  /// The same address with another port, which is in the same place in both versions.
  func with(port: UInt16) -> SocketAddress {
    var bytes = bytes
    bytes[2] = UInt8(port >> 8)
    bytes[3] = UInt8(port & 0xff)
    return SocketAddress(family: family, bytes: bytes)
  }
}

extension SocketAddress {
  /// The address that a system call fills in, which returns zero then.
  static func filled(
    by call: (UnsafeMutablePointer<sockaddr>, UnsafeMutablePointer<socklen_t>) -> Int32
  ) -> SocketAddress? {
    var storage = sockaddr_storage()
    var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
    let result = unsafe withUnsafeMutablePointer(to: &storage) { pointer in
      unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        unsafe call($0, &length)
      }
    }
    guard result == 0 else { return nil }
    let bytes = unsafe withUnsafeBytes(of: &storage) { unsafe Array($0.prefix(Int(length))) }
    return SocketAddress(family: Int32(storage.ss_family), bytes: bytes)
  }

  /// Hands the address to a system call.
  func withPointer<Result>(_ body: (UnsafePointer<sockaddr>, socklen_t) -> Result) -> Result {
    unsafe bytes.withUnsafeBytes { bytes in
      let pointer = unsafe bytes.baseAddress!.assumingMemoryBound(to: sockaddr.self)
      return unsafe body(pointer, socklen_t(bytes.count))
    }
  }

  /// The port, which is in the same place in both versions.
  var port: UInt16 { bytes.count < 4 ? 0 : UInt16(bytes[2]) << 8 | UInt16(bytes[3]) }

  /// Whether it is of this machine alone.
  var isLoopback: Bool {
    switch family {
    case AF_INET: bytes.dropFirst(4).first == 127
    case AF_INET6:
      bytes.dropFirst(8).prefix(16).elementsEqual(Array(repeating: 0, count: 15) + [1])
    default: false
    }
  }

  /// The address without its port as text; of version 6 the network alone, as one client has as many addresses as it likes.
  var client: String {
    switch family {
    case AF_INET: bytes.dropFirst(4).prefix(4).map { String($0) }.joined(separator: ".")
    case AF_INET6:
      bytes.dropFirst(8).prefix(8).map { String($0, radix: 16) }.joined(separator: ":")
    default: "unknown"
    }
  }
}

extension Socket {
  /// Makes an unconnected socket.
  static func open(for address: SocketAddress) throws(SocketError) -> Socket {
    #if canImport(Glibc)
      let descriptor = socket(
        address.family, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    #elseif canImport(Musl)
      let descriptor = socket(address.family, SOCK_STREAM | SOCK_CLOEXEC, 0)
    #else
      let descriptor = socket(address.family, SOCK_STREAM, 0)
    #endif
    guard descriptor >= 0 else { throw .last("socket") }
    return Socket(descriptor: descriptor)
  }

  /// Connects.
  ///
  /// Ends early when the socket is shut down meanwhile.
  func connect(to address: SocketAddress) throws(SocketError) {
    let result = unsafe address.withPointer { pointer, length in
      unsafe systemConnect(descriptor, pointer, length)
    }
    if result != 0 { throw .last("connect") }
  }

  /// Reads what is there, up to the buffer's size.
  ///
  /// - Returns: The number of bytes; zero at the end; negative after an error, which is in `errno`.
  func receiveOrFail(into buffer: UnsafeMutableRawBufferPointer) -> Int {
    while true {
      let count = unsafe recv(descriptor, buffer.baseAddress, buffer.count, 0)
      if count >= 0 || errno != EINTR { return count }
    }
  }
}

extension SocketError {
  static let cancelled = SocketError(call: "connect", number: ECANCELED)

  /// Whether the time of the socket was over.
  var isTimeout: Bool {
    [EAGAIN, EWOULDBLOCK, EINPROGRESS, ETIMEDOUT].contains(number)
  }
}

private func systemConnect(
  _ descriptor: Int32, _ address: UnsafePointer<sockaddr>, _ length: socklen_t
) -> Int32 {
  unsafe connect(descriptor, address, length)
}
