extension ResourcePool {
  /// A resource that is lent, for callers whose use of it has no body to wrap.
  ///
  ///     let loan = try await pool.lease()
  ///     let rows = try await loan.resource.query("SELECT 1")  // when it throws, the loan is dropped
  ///     loan.giveBack()
  ///
  /// It can't be copied, so it goes back once. Dropping it, on whatever path, gives it back and says nothing about the use. To keep
  /// it over a callback put it into an optional and `take()` it.
  public struct Loan: ~Copyable, Sendable {
    @usableFromInline let core: PoolCore
    @usableFromInline let item: PoolItem
    @usableFromInline var use = PoolUse.unknown

    @inlinable
    init(core: PoolCore, item: PoolItem) {
      self.core = core
      self.item = item
    }

    @inlinable
    deinit { core.takeBack(item, use) }

    /// The resource; not to be used after the loan has ended.
    @inlinable public var resource: Resource { item.resource(as: Resource.self) }

    /// Gives it back after a use that went well.
    @inlinable
    public consuming func giveBack() { use = .succeeded }

    /// Gives it back after a use that failed.
    ///
    /// Counts unless the error means a cancellation; ``PoolConfiguration/discardAfter`` says whether the resource may be lent
    /// again.
    ///
    /// - Parameter error: What the use threw.
    public consuming func giveBack(after error: any Error) {
      use = core.meaning(of: error)
    }

    /// Gives it back to be closed, not to be lent again.
    public consuming func discard() { use = .discarded }
  }
}
