/// An error that other errors led to: a wrapper with one cause, or a summary with several.
///
/// Classifiers, error reports and `error.underlying(as:)` look through it. Conform an error that wraps others:
///
///     struct MirrorsFailed: ErrorWithCauses {
///       var causes: [any Error]  // one for each mirror that was tried
///     }
public protocol ErrorWithCauses: Error {
  /// The errors that led to this one, the most telling one first. May be empty.
  var causes: [any Error] { get }
}
