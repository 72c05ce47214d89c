/// What a save promises about a crash of the machine, by honest names.
///
/// All three replace the file in one step for everyone who reads it, and survive a crash of the program. They differ
/// in what a power cut or a kernel crash may leave.
public enum Durability: Hashable, Sendable, CaseIterable {
  /// When the save returns, the new content is on the medium and stays after a power cut.
  ///
  /// The file is synced, renamed, and the directory is synced.
  case full

  /// After a power cut the file holds the old content or the new content, whole; the newest saves may be undone.
  ///
  /// The file is synced before it is renamed (on Apple platforms only ordered before, which is cheaper), but the
  /// directory is not synced. About two thirds of the cost of ``full``.
  case ordered

  /// Nothing is promised after a power cut: the file may be old, new, empty or missing pieces.
  ///
  /// For what can be made again. Nothing is synced.
  case none
}
