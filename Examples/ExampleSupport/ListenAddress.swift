import Reliability

/// Where a server listens: an address of this machine and a port.
///
///     let address = try ListenAddress("127.0.0.1:8080")
///     print(address.isLoopback)  // true
public struct ListenAddress: Hashable, Sendable, CustomStringConvertible {
  let address: SocketAddress
  /// The address as it was given.
  public let description: String

  /// Reads `ADDRESS:PORT`, `[ADDRESS]:PORT` or `localhost:PORT`.
  ///
  /// - Throws: ``UsageError`` when it is nothing of that.
  public init(_ text: String) throws(UsageError) {
    let wrong = UsageError(
      "--listen must be ADDRESS:PORT, such as 127.0.0.1:8080 or [::1]:8080, not "
        + text.quotedForDisplay)
    guard let colon = text.lastIndex(of: ":"), let port = UInt16(text[text.index(after: colon)...])
    else { throw wrong }
    var host = String(text[..<colon])
    if host.hasPrefix("["), host.hasSuffix("]") {
      host = String(host.dropFirst().dropLast())
    } else if host.contains(":") {
      throw wrong
    }
    if host == "localhost" { host = "127.0.0.1" }
    guard let address = SocketAddress.literal(host: host, port: port) else { throw wrong }
    self.address = address
    description = text
  }

  /// Whether only programs of this machine can connect.
  public var isLoopback: Bool { address.isLoopback }

  /// The port; zero stands for any free one.
  public var port: UInt16 { address.port }

  /// The same address as text with another port, as a client writes it.
  public func text(port: UInt16) -> String {
    guard let colon = description.lastIndex(of: ":") else { return description }
    return "\(description[..<colon]):\(port)"
  }
}
