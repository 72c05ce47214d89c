/// A resource of whatever type, with its place in the pool.
///
/// There is one for each resource, so that the loan of one that was recalled can't be mistaken for another's.
@usableFromInline class PoolItem: @unchecked Sendable {
  final let slot: Int
  final let number: Int
  final let closers: [BoundCloser]

  init(slot: Int, number: Int, closers: [BoundCloser]) {
    self.slot = slot
    self.number = number
    self.closers = closers
  }
}

/// The same with its type.
@usableFromInline final class PooledItem<Resource: Sendable>: PoolItem, @unchecked Sendable {
  @usableFromInline let resource: Resource

  init(slot: Int, number: Int, resource: Resource, closers: [BoundCloser]) {
    self.resource = resource
    super.init(slot: slot, number: number, closers: closers)
  }
}

extension PoolItem {
  /// The resource; the type is that of the pool.
  @inlinable
  func resource<Resource: Sendable>(as type: Resource.Type) -> Resource {
    unsafe unsafeDowncast(self, to: PooledItem<Resource>.self).resource
  }
}

/// What the user's code does for a pool, without its type.
struct PoolHandlers: Sendable {
  var create: @Sendable (_ slot: Int, _ number: Int, ResourceParts) async throws -> PoolItem
  var checkOnLend: (@Sendable (PoolItem) async throws -> Bool)?
  var checkOnReturn: (@Sendable (PoolItem) async throws -> Bool)?
  var rollback: (@Sendable (PoolItem) async throws -> Void)?
}
