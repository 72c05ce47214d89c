internal import CReliability

/// Extended attributes. Values are read in two calls, size then bytes, and again when they grew in between.
extension RealFileSystem {
  package func attributeNames(_ file: Descriptor) throws(ErrorNumber) -> [String] {
    let list = try unsafe sized { buffer in
      unsafe outcome(
        creliability_flistxattr(
          file.rawValue, buffer.baseAddress?.assumingMemoryBound(to: CChar.self), buffer.count))
    }
    return list.split(separator: 0).compactMap { String(validating: $0, as: UTF8.self) }
  }

  package func attribute(_ file: Descriptor, _ name: String) throws(ErrorNumber) -> [UInt8] {
    try unsafe sized { buffer in
      unsafe name.withCString { name in
        unsafe outcome(
          creliability_fgetxattr(file.rawValue, name, buffer.baseAddress, buffer.count))
      }
    }
  }

  package func setAttribute(
    _ file: Descriptor, _ name: String, _ value: Span<UInt8>
  ) throws(ErrorNumber) {
    let result = unsafe value.withUnsafeBytes { value in
      unsafe name.withCString { name in
        unsafe outcome(creliability_fsetxattr(file.rawValue, name, value.baseAddress, value.count))
      }
    }
    try check(result)
  }

  package func removeAttribute(_ file: Descriptor, _ name: String) throws(ErrorNumber) {
    _ = try unsafe path(name) { name in
      unsafe outcome(creliability_fremovexattr(file.rawValue, name))
    }
  }

  /// Runs a call that fills a buffer and says how many bytes it needs when the buffer is empty.
  private func sized(
    _ call: (UnsafeMutableRawBufferPointer) -> Int
  ) throws(ErrorNumber) -> [UInt8] {
    while true {
      let size = try check(unsafe call(UnsafeMutableRawBufferPointer(start: nil, count: 0)))
      if size == 0 { return [] }
      var bytes = [UInt8](repeating: 0, count: size)
      let filled = unsafe bytes.withUnsafeMutableBytes { unsafe call($0) }
      do throws(ErrorNumber) {
        bytes.removeLast(bytes.count - (try check(filled)))
        return bytes
      } catch {
        if error != .outOfRange { throw error }
      }
    }
  }
}
