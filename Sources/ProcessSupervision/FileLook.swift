/// Lets one look at the watched file be under way at a time: its file system may hang, and every look takes a thread.
struct FileLook {
  private var isUnderWay = false
  private var wasAskedMeanwhile = false

  /// Somebody asks for a look.
  ///
  /// - Returns: Whether to begin one.
  mutating func begin() -> Bool {
    guard !isUnderWay else {
      wasAskedMeanwhile = true
      return false
    }
    isUnderWay = true
    return true
  }

  /// The look that was begun is over.
  ///
  /// - Returns: Whether somebody asked meanwhile: what was seen may be older than the question.
  mutating func end() -> Bool {
    isUnderWay = false
    defer { wasAskedMeanwhile = false }
    return wasAskedMeanwhile
  }
}
