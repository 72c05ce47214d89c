internal import Synchronization

#if canImport(Glibc)
  internal import Glibc
#elseif canImport(Musl)
  internal import Musl
#elseif canImport(Darwin)
  internal import Darwin
#endif

/// Standard output or standard error: whether it is a terminal, how wide, and whole writes to it.
public struct Terminal: Sendable {
  /// Where to write.
  public enum Stream: Sendable {
    /// Standard output.
    case output
    /// Standard error.
    case error
  }

  let descriptor: Int32

  /// Whether things can be drawn in place: a terminal that understands cursor movement.
  public let canRedraw: Bool
  /// Whether colour is welcome: a terminal, and `NO_COLOR` (no-color.org) is not set.
  public let hasColour: Bool

  /// Looks at a stream.
  public init(_ stream: Stream) {
    descriptor = stream == .output ? STDOUT_FILENO : STDERR_FILENO
    let isTerminal = isatty(descriptor) == 1
    let kind = Self.environment("TERM") ?? ""
    canRedraw = isTerminal && kind != "dumb" && !kind.isEmpty
    hasColour = canRedraw && (Self.environment("NO_COLOR") ?? "").isEmpty
  }

  private static func environment(_ name: String) -> String? {
    unsafe getenv(name).map { unsafe String(cString: $0) }
  }

  /// How many characters fit in a line; 80 where nobody knows.
  public var width: Int {
    var size = winsize()
    guard unsafe ioctl(descriptor, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0 else { return 80 }
    return Int(size.ws_col)
  }

  /// Writes everything, or gives up silently when nobody reads any more.
  public func write(_ text: String) {
    var text = text
    text.withUTF8 { bytes in
      var rest = UnsafeRawBufferPointer(bytes)
      while let base = rest.baseAddress, unsafe !rest.isEmpty {
        let count = unsafe systemWrite(descriptor, base, rest.count)
        if count > 0 {
          unsafe rest = UnsafeRawBufferPointer(rebasing: rest[count...])
        } else if errno == EAGAIN {
          var entry = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
          _ = unsafe poll(&entry, 1, 1000)
        } else if errno != EINTR {
          return
        }
      }
    }
  }

  /// A style of text.
  public enum Style: String, Sendable {
    /// All is well.
    case green = "32"
    /// Something failed.
    case red = "31"
    /// Something is worth a look.
    case yellow = "33"
    /// Less important.
    case dim = "2"
    /// More important.
    case bold = "1"
  }

  /// The text in a style, or as it is where colour is not welcome.
  public func styled(_ text: String, _ style: Style) -> String {
    hasColour ? "\u{1b}[\(style.rawValue)m\(text)\u{1b}[0m" : text
  }
}

private func systemWrite(_ descriptor: Int32, _ bytes: UnsafeRawPointer, _ count: Int) -> Int {
  unsafe write(descriptor, bytes, count)
}
