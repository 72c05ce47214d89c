import ReliabilityIO

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// The calls of the C library that the lab makes for itself; what is under test goes through its own seam.
enum System {
  /// The status a worker ends with when its power was cut.
  static let cutStatus: Int32 = 77

  static func fail(_ message: String) -> Never {
    print("error: \(message)")
    exit(2)
  }

  /// Ends the process at once: nothing is flushed, closed or unwound.
  static func end(_ status: Int32) -> Never { _exit(status) }

  static func sleep(microseconds: Int) { usleep(UInt32(clamping: microseconds)) }

  /// Ends the process after what it printed has been written.
  static func finish(_ status: Int32) -> Never { exit(status) }

  static func kill(_ process: Int32) { _ = kill_(process, SIGKILL) }

  /// Nanoseconds of a clock that all processes share.
  static var now: Int64 {
    var time = timespec()
    unsafe clock_gettime(CLOCK_MONOTONIC, &time)
    return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
  }

  /// Ends this process when the one that started it does: standard input is a pipe of which it holds the other end.
  static func followParent() {
    var thread = pthread_t()
    unsafe pthread_create(
      &thread, nil,
      { _ in
        var byte: UInt8 = 0
        while true {
          let count = unsafe read(STDIN_FILENO, &byte, 1)
          if count == 0 || (count < 0 && errno != EINTR) { System.end(86) }
        }
      }, nil)
  }

  /// Lets no file of this process grow beyond a size; a write over it is cut short, the next one fails.
  static func limitFileSize(to bytes: Int) {
    signal(SIGXFSZ, SIG_IGN)
    var limit = rlimit(rlim_cur: rlim_t(bytes), rlim_max: rlim_t(bytes))
    #if canImport(Glibc)
      unsafe setrlimit(__rlimit_resource_t(RLIMIT_FSIZE.rawValue), &limit)
    #else
      unsafe setrlimit(RLIMIT_FSIZE, &limit)
    #endif
  }

  /// Opens a file to which every write appends, whole.
  static func openToAppend(_ path: String) -> Int32 {
    let file = unsafe open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o644)
    if file < 0 { fail("\(path): \(String(describing: ErrorNumber(rawValue: errno)))") }
    return file
  }

  static func append(_ line: String, to file: Int32) { appendRaw(line + "\n", to: file) }

  static func appendRaw(_ text: String, to file: Int32) {
    var text = text
    let count = text.utf8.count
    let written = text.withUTF8 { unsafe write(file, $0.baseAddress, $0.count) }
    if written != count { fail("the lab can't write its own record of what happened") }
  }
}

private func kill_(_ process: Int32, _ signal: Int32) -> Int32 { kill(process, signal) }

#if os(Linux)
  extension System {
    /// What a power cut takes with it.
    enum CutMode: UInt32, Sendable, CaseIterable {
      /// The file system's own journal was written out, data was not (`FS_SHUTDOWN_FLAGS_LOGFLUSH`).
      case keepsJournal = 1
      /// Everything that was not synced (`FS_SHUTDOWN_FLAGS_NOLOGFLUSH`).
      case losesAll = 2
    }

    /// Cuts a file system off its disk, as a power cut would (`FS_IOC_SHUTDOWN`).
    static func shutDown(_ directory: Int32, _ mode: CutMode) -> Bool {
      var flags = mode.rawValue
      return unsafe ioctl(directory, 0x8004_587d, &flags) == 0
    }

    static func openDirectory(_ path: String) -> Int32 {
      unsafe open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    }

    /// Forgets what the kernel has cached of an idle block device (`BLKFLSBUF`).
    static func forgetCache(of device: String) {
      let file = unsafe open(device, O_RDONLY | O_CLOEXEC)
      if file < 0 || ioctl(file, 0x1261) != 0 { fail("can't flush \(device)") }
      close(file)
    }

    /// - Returns: Why it was not mounted.
    static func mount(_ device: String, at path: String, type: String) -> String? {
      // XFS would refuse a copy of a file system that it has mounted already.
      let options = type == "xfs" ? "nouuid" : ""
      let result = mount_(device, path, type, options)
      return result == 0 ? nil : String(describing: ErrorNumber(rawValue: errno))
    }

    /// Unmounts, waiting for those who are just closing their files.
    static func unmount(_ path: String) {
      for _ in 0..<500 {
        if unsafe umount2(path, 0) == 0 { return }
        usleep(2000)
      }
      fail("can't unmount \(path): \(String(describing: ErrorNumber(rawValue: errno)))")
    }
  }

  private func mount_(_ device: String, _ path: String, _ type: String, _ options: String) -> Int32
  {
    unsafe options.withCString { options in
      unsafe mount(device, path, type, 0, options)
    }
  }
#endif
