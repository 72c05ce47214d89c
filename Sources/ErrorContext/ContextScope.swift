internal import Synchronization

/// A frame while it is running: the task-local object that `withErrorContext` sets for its body.
///
/// Child tasks inherit it, so several threads may add to it at once.
@usableFromInline final class ContextScope: Sendable {
  @usableFromInline static let current = TaskLocal<ContextScope?>(wrappedValue: nil)

  private struct Trails {
    var attempts = BoundedTrail<AttemptRecord>(first: 5, last: 5)
    var breadcrumbs = BoundedTrail<Breadcrumb>(first: 8, last: 24)
  }

  let frame: ContextFrame
  let parent: ContextScope?
  private let trails = Lock<Trails?>(nil)
  // Read on the way out of every successful body, where a lock would be a tenth of the whole cost.
  private let hasTrails = Atomic(false)

  @usableFromInline init(name: String, values: ContextValues, fileID: String, line: UInt) {
    frame = ContextFrame(name: name, values: values, fileID: fileID, line: line)
    parent = Self.current.get()
  }

  func add(_ attempt: AttemptRecord) {
    update { $0.attempts.append(attempt) }
  }

  func add(_ breadcrumb: Breadcrumb) {
    update { $0.breadcrumbs.append(breadcrumb) }
  }

  private func update(_ body: (inout Trails) -> Void) {
    trails.withLock { trails in
      var changed = trails ?? Trails()
      trails = nil
      body(&changed)
      trails = changed
    }
    hasTrails.store(true, ordering: .releasing)
  }

  private var snapshot: Trails? {
    hasTrails.load(ordering: .acquiring) ? trails.withLock { $0 } : nil
  }

  /// Called when the body ended well: its remarks are part of how the enclosing work came to where it is.
  @usableFromInline func bodySucceeded() {
    if hasTrails.load(ordering: .acquiring) { handRemarksToParent() }
  }

  private func handRemarksToParent() {
    guard let parent, let breadcrumbs = snapshot?.breadcrumbs, !breadcrumbs.isEmpty else { return }
    parent.update { $0.breadcrumbs.append(breadcrumbs) }
  }

  /// The error that leaves the body, with this frame around it.
  ///
  /// A cancellation is not trouble of the work inside and stays what it is, for `catch is CancellationError`.
  @usableFromInline func wrap(_ error: any Error) -> any Error {
    if error is CancellationError { return error }
    var contextual = error as? ContextualError ?? ContextualError(underlying: error)
    append(to: &contextual)
    return contextual
  }

  private func append(to contextual: inout ContextualError) {
    contextual.append(frame)
    guard let snapshot else { return }
    contextual.attemptTrail.append(snapshot.attempts)
    contextual.breadcrumbTrail.append(snapshot.breadcrumbs)
  }

  /// The error as seen inside the contexts it has not left yet.
  static func addingCurrent(to error: any Error) -> ContextualError {
    var contextual = error as? ContextualError ?? ContextualError(underlying: error)
    var scope = current.get()
    while let present = scope {
      present.append(to: &contextual)
      scope = present.parent
    }
    return contextual
  }
}
