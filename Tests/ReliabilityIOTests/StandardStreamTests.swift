import ReliabilityIO
import Testing

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#elseif canImport(Musl)
  import Musl
#endif

#if os(Linux) || os(macOS)
  @Suite struct StandardStreamTests {
    /// As after `program <&- >&-`: the next descriptors would be 0 and 1, and every `print` would go into the file.
    @Test func aFileNeverTakesThePlaceOfAStandardStream() async {
      await #expect(processExitsWith: .success) {
        var template = Array("/tmp/reliability-streams-XXXXXX".utf8CString)
        let made = unsafe mkstemp(&template)
        #expect(made >= 0)
        let path = String(decoding: template.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self)
        _ = close(made)
        let streams = (dup(0), dup(1))
        _ = close(0)
        _ = close(1)
        var opened: [Int32] = []
        do {
          let file = try OpenFile(path, [.read, .write], fileSystem: .real)
          try file.writeAll([1, 2, 3].span, at: 0)
          let directory = try OpenDirectory("/tmp", fileSystem: .real)
          let copy = try RealFileSystem().duplicate(file.descriptor)
          opened = [file.descriptor.rawValue, directory.descriptor.rawValue, copy.rawValue]
          try RealFileSystem().close(copy)
        }
        let areFree = fcntl(0, F_GETFD) == -1 && fcntl(1, F_GETFD) == -1
        _ = dup2(streams.0, 0)
        _ = dup2(streams.1, 1)
        try RealFileSystem().unlink(path, in: nil)
        #expect(opened.allSatisfy { $0 > 2 }, "\(opened)")
        #expect(areFree, "the low descriptor was given back")
      }
    }
  }
#endif
