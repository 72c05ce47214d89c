#if os(Linux)
  /// A small file system on a loop device, put back to its first state before each cut.
  struct LoopImage {
    let type: String
    private let template: String
    private let image: String
    private let device: String
    /// Where it is mounted.
    let mountPoint: String

    /// - Parameter folder: Has `template`, `image` and the empty directory `mounted`; `image` is behind the device.
    init(type: String, folder: String, device: String) {
      self.type = type
      self.device = device
      template = folder + "/template"
      image = folder + "/image"
      mountPoint = folder + "/mounted"
    }

    /// Makes it new; it must not be mounted.
    ///
    /// - Parameter keepsZeros: Whether blocks of zeros that the template has stay allocated, such as those of the journal.
    func reset(keepsZeros: Bool = false) {
      let copy = Child(["cp", keepsZeros ? "--sparse=auto" : "--sparse=always", template, image])
      if copy.wait() != .exited(0) { System.fail("can't copy \(template)") }
      System.forgetCache(of: device)
    }

    func mount() {
      if let reason = System.mount(device, at: mountPoint, type: type) {
        System.fail("can't mount \(type) on \(device): \(reason)")
      }
    }

    func unmount() { System.unmount(mountPoint) }
  }
#endif
