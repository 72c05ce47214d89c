internal import Foundation
internal import Reliability
internal import ReliabilityExampleSupport

/// `downloader serve`: the queue, its state, and what is shown of it.
final class DownloadService: Sendable {
  let options: ServeOptions
  let downloads: DownloadQueue
  let manifest: Manifest
  let registry: MetricsRegistry
  let performance: PerformanceWindow
  let gate: ServeGate
  let infos: VideoInfoCache
  let health: ServeHealth
  private let state: StateDirectory
  private let server = Lock<HTTPServer?>(nil)
  private let tunnel: GuardedTunnel?

  private init(
    _ options: ServeOptions, _ state: StateDirectory, _ downloads: DownloadQueue,
    _ manifest: Manifest, _ performance: PerformanceWindow, _ gate: ServeGate,
    _ tunnel: GuardedTunnel?
  ) {
    self.tunnel = tunnel
    self.options = options
    self.state = state
    self.downloads = downloads
    self.manifest = manifest
    self.performance = performance
    self.gate = gate
    infos = VideoInfoCache(options.settings)
    registry = MetricsRegistry(prefix: "downloader")
    health = ServeHealth(downloads, options, registry, downloads.worker.tracker.display)
    let worker = downloads.worker
    let learned = worker.configuration.method.limits.learned
    let queueStore = downloads.queue.store as? any MetricsSource
    let sources: [(any MetricsSource)?] = [
      downloads.queue, downloads.letters, worker.breakers, worker.limiter, worker.budget,
      gate.limiter, infos.cache, learned, health.monitor, AtomicFileStatistics.shared,
      SweepStatistics.shared, manifest.figures, queueStore,
      ProcessFigures(every: options.settings.metricsInterval),
    ]
    for source in sources.compactMap({ $0 }) { registry.register(source) }
    if let tool = worker.configuration.method as? ToolTransfer {
      for source in tool.sources { registry.register(source) }
    }
  }

  /// Opens the state and begins to listen; nothing is downloaded before ``run(until:)``.
  ///
  /// - Throws: ``StateInUse``, ``OutputError``, `UsageError`, `SocketError`, `StoreError`.
  static func open(_ options: ServeOptions, display: ProgressDisplay) async throws
    -> DownloadService
  {
    let token: AccessToken?
    if let file = options.tokenFile { token = try AccessToken(file: file) } else { token = nil }
    let state = try await StateDirectory.open(options.state, command: "serve")
    try await OutputDirectory.prepare(options.output)
    let settings = options.settings
    let manifest = Manifest(in: options.output) { display.note("     manifest: \($0)") }
    let performance = PerformanceWindow()
    let tracker = DownloadTracker(display: display, failuresKept: 0)

    var worker = DownloadWorker.Configuration(directory: options.output)
    worker.waitsForServers = true
    worker.rate = settings.serverRate
    var limits = settings.limits
    limits.timeouts = settings.timeouts
    var builtIn = BuiltInTransfer(
      limits: limits,
      durability: settings.durability, policy: settings.policy, alwaysDigests: true
    )
    builtIn.threads = BlockingThreads(givesWay: true)
    worker.method = builtIn.behind(settings.tool)

    var jobs = JobOptions()
    jobs.maxAttempts = settings.attempts
    jobs.backoff = settings.backoff
    jobs.timeout = nil
    var queue = JobQueue.Configuration(name: "downloads")
    queue.workers = settings.workers
    queue.shutdownGrace = options.grace
    // A long download may well meet several restarts.
    queue.maxCrashes = 10
    queue.cleanupInterval = settings.cleanupInterval
    queue.observer = { performance.note($0) }
    var store = JobStoreOptions()
    store.capacity = settings.queueMaxSize

    let downloads = DownloadQueue(
      store: try await state.openStore(store), letters: try await state.openLetters(),
      worker: DownloadWorker(worker, manifest: manifest, tracker: tracker), defaults: jobs,
      configuration: queue)
    let gate = ServeGate(
      token: token, isLoopback: options.listen.isLoopback, perMinute: settings.ratePerMinute,
      burst: settings.rateBurst)
    let service = DownloadService(
      options, state, downloads, manifest, performance, gate, try guardSecureTransfers(settings))
    await manifest.load()
    await service.health.checkAll()
    try await service.listen()
    return service
  }

  /// Sends https through a tunnel that looks at the address it connects to.
  ///
  /// A proxy that the environment names stays in force: then that one decides.
  private static func guardSecureTransfers(_ settings: Settings) throws -> GuardedTunnel? {
    guard settings.policy != .any else { return nil }
    // What names hosts that need no proxy would let those past it, whoever's proxy it is.
    for name in ["no_proxy", "NO_PROXY"] { unsafe unsetenv(name) }
    let environment = ProcessInfo.processInfo.environment
    let names = ["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"]
    guard names.allSatisfy({ (environment[$0] ?? "").isEmpty }) else { return nil }
    let tunnel = try GuardedTunnel(settings.policy)
    unsafe setenv("https_proxy", tunnel.proxyURL, 1)
    return tunnel
  }

  /// The port it listens on.
  var port: UInt16 { server.withLock { $0?.port } ?? 0 }

  /// Where it listens.
  var address: String { options.listen.text(port: port) }

  private func listen() async throws {
    var limits = HTTPServer.Limits()
    limits.bodyBytes = 65_536
    limits.connections = 128
    limits.idleSeconds = 15
    limits.requestSeconds = 15
    let routes = ServeRoutes(service: self)
    let new = try HTTPServer(on: options.listen, limits: limits) { request in
      routes.answer(request)
    }
    server.withLock { $0 = new }
    try await state.announce(
      StateDirectory.Owner(
        pid: ProcessInfo.processInfo.processIdentifier, command: "serve", listen: address,
        tokenFile: options.tokenFile.map { URL(fileURLWithPath: $0).path }))
  }

  /// Works until the task is cancelled, then stops in order: no more requests, downloads that run may go on for the grace, the
  /// rest goes back to the queue for the next start.
  ///
  /// - Throws: What can't be written at the end.
  func run() async throws {
    let checks = Task { await health.run() }
    await downloads.queue.run()
    checks.cancel()
    tunnel?.stop()
    downloads.worker.tracker.forgetAll()
    // Not cancelled with this task: what is in memory has to reach the disk.
    try await Task { [manifest, state, downloads] in
      try await manifest.flush()
      try await state.close(downloads)
    }.value
  }

  /// Takes no more requests; those that are being answered are finished.
  func stopListening() async {
    let open = server.withLock { $0.take() }
    await open?.finish(within: .seconds(5))
  }

  // MARK: What is asked of it

  /// Puts a download in.
  ///
  /// - Throws: What is wrong with it; `QueueFullError`.
  func enqueue(url: String, priority: JobPriority, taskID: String?) async throws -> JobID {
    var item = try DownloadPlan.item(url)
    try await checkAddress(of: item)
    if let other = manifest.address(of: item.name), other != item.url.absoluteString {
      item.name = Self.distinctName(of: item)
    }
    var options = downloads.defaults
    options.priority = priority
    options.callerID = taskID
    options.unique = UniqueKey(item.url.absoluteString)
    return try await downloads.queue.enqueue(
      DownloadJob(item, taskID: taskID), options: options
    ).id
  }

  /// Refuses early what the connection would refuse; a name that has no address now may have one later.
  private func checkAddress(of item: DownloadItem) async throws {
    let policy = options.settings.policy
    if policy == .any { return }
    do {
      try await withTimeout(.seconds(2)) {
        try await AddressBook.shared.check(item.address.host, policy)
      }
    } catch let failure as AddressBook.Failure {
      if case .refused = failure {
        throw ServeProblem(400, "url: \(failure); the server was not started with --allow-private")
      }
    } catch is TimeoutError {}
  }

  /// A name of its own for a file whose last part of the path another one has.
  static func distinctName(of item: DownloadItem) -> String {
    var digest = SHA256()
    digest.update(Array(item.url.absoluteString.utf8))
    return "\(digest.hexadecimal.prefix(8))-\(item.name)".clipped(toBytes: 255)
  }

  func figures(window: Duration = .seconds(3600)) async throws -> ServeFigures {
    ServeFigures(
      metrics: try await downloads.queue.metrics(window: window),
      isRunning: !downloads.queue.isPaused && server.withLock { $0 } != nil)
  }
}

extension String {
  /// As much of the text as fits, whole characters only.
  func clipped(toBytes limit: Int) -> String {
    var text = self
    while text.utf8.count > limit { text.removeLast() }
    return text
  }
}
