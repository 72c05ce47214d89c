extension ResilientCache {
  /// A part of a cache that is emptied on its own: the entries of a tenant, a table, a host.
  ///
  ///     let tenant = pages.namespace("tenant-7")
  ///     let page = try await tenant.value(for: url) { try await fetch(url) }
  ///     tenant.removeAll()
  ///
  /// A key in a namespace is another one than the same key outside it, or in another namespace. All namespaces share the
  /// cache's bounds, policy and figures. One that has no entries takes no memory.
  public struct Namespace: Sendable {
    @usableFromInline let cache: ResilientCache
    @usableFromInline let space: CacheSpace

    /// The name of the namespace.
    public var name: String { space.name }

    init(_ cache: ResilientCache, _ space: CacheSpace) {
      self.cache = cache
      self.space = space
    }
  }

  /// A namespace, which exists as soon as it is named.
  ///
  /// - Parameter name: Its name, not empty: a programmer's error, which traps.
  public func namespace(_ name: String) -> Namespace {
    precondition(!name.isEmpty, "name must not be empty")
    return Namespace(self, CacheSpace(name))
  }
}

extension ResilientCache.Namespace {
  /// The value of a key if it is fresh, which counts as a use of it.
  @inlinable
  public func value(for key: Key) -> Value? {
    let address = CacheAddress(key, in: space)
    return cache.hit(address) ?? cache.missed(address)
  }

  /// The value of a key if it is fresh; not a use of it, and not counted.
  public func peek(_ key: Key) -> Value? { cache.peek(CacheAddress(key, in: space)) }

  /// The value of a key: from the cache, or loaded once for all who ask; see ``ResilientCache/value(for:load:)``.
  @inlinable
  public nonisolated(nonsending) func value(
    for key: Key, load: @escaping @Sendable () async throws -> Value
  ) async throws -> Value {
    let address = CacheAddress(key, in: space)
    if let value = cache.hit(address) { return value }
    return try await cache.request(address, load)
  }

  /// The value of a key, which may not exist; see ``ResilientCache/valueIfAny(for:load:)``.
  @inlinable
  public nonisolated(nonsending) func valueIfAny(
    for key: Key, load: @escaping @Sendable () async throws -> Value?
  ) async throws -> Value? {
    let address = CacheAddress(key, in: space)
    if let value = cache.hit(address) { return value }
    return try await cache.requestIfAny(address, load)
  }

  /// Keeps a value for a key; see ``ResilientCache/set(_:for:timeToLive:)``.
  @discardableResult @inlinable
  public func set(_ value: Value, for key: Key, timeToLive: Duration? = nil) -> Bool {
    cache.set(value, CacheAddress(key, in: space), timeToLive)
  }

  /// Removes a key; see ``ResilientCache/remove(_:)``.
  @discardableResult
  public func remove(_ key: Key) -> Value? { cache.remove(CacheAddress(key, in: space)) }

  /// Removes all entries of the namespace; loads in it that still run are out of date.
  ///
  /// - Complexity: O(entries of the namespace and loads that run), under the lock; the values are released after it.
  public func removeAll() { cache.change { $0.removeAll(in: space, &$1) } }
}
