/// An IP address, and whether it belongs to the public internet.
///
///     let address = InternetAddress("::ffff:127.0.0.1")
///     print(address?.isPublic ?? false)  // false
///
/// Programs that follow links of strangers ask it before they connect: a link must not lead them to services that only
/// their own machine or network can reach.
public struct InternetAddress: Hashable, Sendable, CustomStringConvertible {
  /// Four bytes of version 4, sixteen of version 6.
  public let bytes: [UInt8]

  /// Makes an address of four or sixteen bytes in the order of the network; `nil` for any other number.
  public init?(bytes: [UInt8]) {
    guard bytes.count == 4 || bytes.count == 16 else { return nil }
    self.bytes = bytes
  }

  /// Whether it belongs to the public internet, by the registries of special-purpose addresses (RFC 6890 and the tables
  /// of IANA that carry it on).
  ///
  /// An address of version 6 that carries one of version 4 (mapped, compatible, NAT64, 6to4) is judged by what it carries.
  public var isPublic: Bool {
    if bytes.count == 4 { return Self.isPublic(bytes[0], bytes[1], bytes[2]) }
    if let carried { return Self.isPublic(carried[0], carried[1], carried[2]) }
    // Only 2000::/3 is given out; that leaves out loopback, link-local, unique local, and multicast.
    guard bytes[0] & 0xe0 == 0x20 else { return false }
    let head = (bytes[0], bytes[1], bytes[2], bytes[3])
    // 2001:db8::/32 and 3fff::/20 are for documentation, 2001::/23 for protocols, Teredo among them.
    if head == (0x20, 0x01, 0x0d, 0xb8) { return false }
    if head.0 == 0x20, head.1 == 0x01, head.2 < 0x02 { return false }
    return !(head.0 == 0x3f && head.1 == 0xff && head.2 < 0x10)
  }

  /// The address of version 4 inside one of version 6.
  private var carried: ArraySlice<UInt8>? {
    func starts(_ prefix: [UInt8]) -> Bool { bytes.starts(with: prefix) }
    let zeros = [UInt8](repeating: 0, count: 10)
    let last = Array(bytes[12...])[...]
    if starts(zeros + [0xff, 0xff]) { return last }
    if starts(zeros + [0, 0]) { return last }
    if starts([0x00, 0x64, 0xff, 0x9b, 0, 0, 0, 0, 0, 0, 0, 0]) { return last }
    if starts([0x20, 0x02]) { return Array(bytes[2..<6])[...] }
    return nil
  }

  private static func isPublic(_ a: UInt8, _ b: UInt8, _ c: UInt8) -> Bool {
    switch (a, b, c) {
    case (0, _, _), (10, _, _), (127, _, _), (224..., _, _): false
    case (100, 64...127, _), (169, 254, _), (172, 16...31, _), (192, 168, _): false
    case (192, 0, 0), (192, 0, 2), (192, 88, 99), (198, 18...19, _), (198, 51, 100): false
    case (203, 0, 113): false
    default: true
    }
  }

  /// The usual text of version 4; eight groups of hexadecimal digits of version 6.
  public var description: String {
    if bytes.count == 4 { return bytes.map(String.init).joined(separator: ".") }
    return stride(from: 0, to: 16, by: 2)
      .map { String(Int(bytes[$0]) << 8 | Int(bytes[$0 + 1]), radix: 16) }.joined(separator: ":")
  }
}

extension InternetAddress {
  /// Every address of a host.
  ///
  /// Blocks until the resolver answers; a host that is an address is not looked up.
  ///
  /// - Throws: ``HTTPFetch/Failure/unknownHost(_:)``.
  public static func all(of host: String) throws(HTTPFetch.Failure) -> [InternetAddress] {
    try SocketAddress.all(host: host, port: 0).compactMap(\.internetAddress)
  }

  /// An address in its usual text, without a look-up of names.
  public init?(_ text: String) {
    let isText = text.utf8.allSatisfy {
      (UInt8(ascii: "0")...UInt8(ascii: "9")) ~= $0 || $0 == UInt8(ascii: ".")
        || $0 == UInt8(ascii: ":") || (UInt8(ascii: "a")...UInt8(ascii: "f")) ~= $0 | 0x20
    }
    // Letters a to f alone could be a name.
    guard isText, text.contains(":") || !text.contains(where: \.isLetter),
      let address = try? Self.all(of: text).first
    else { return nil }
    self = address
  }
}

extension SocketAddress {
  /// The part of it that says which machine.
  var internetAddress: InternetAddress? {
    // sockaddr_in has the address after family and port; sockaddr_in6 after the flow label too.
    if bytes.count >= 28 { return InternetAddress(bytes: Array(bytes[8..<24])) }
    return bytes.count >= 8 ? InternetAddress(bytes: Array(bytes[4..<8])) : nil
  }
}
