import Logging

/// Somebody who keeps a part of the cluster as it should be.
public protocol Controller: Sendable {
    /// The controller's name, for logs and events: `deployment`.
    var name: String { get }
    /// Works until the task is cancelled.
    func run() async throws
}

/// Works off a queue with several workers until it is shut down or the task is cancelled.
///
/// A key whose reconciliation throws comes again after a pause that doubles with every failure. A conflict
/// (somebody else wrote the object first) is part of life and is logged less loudly than other failures.
public func runController<Key: Hashable & Sendable>(
    _ queue: WorkQueue<Key>, name: String = "controller", workers: Int = 1,
    logger: Logger = Logger(label: "swiftlet.controller"),
    reconcile: @escaping @Sendable (Key) async throws -> Void
) async {
    await withTaskGroup(of: Void.self) { group in
        for _ in 0..<max(workers, 1) {
            group.addTask {
                while let key = await queue.next() {
                    do {
                        try await reconcile(key)
                        queue.forget(key)
                    } catch {
                        // Shutting down is no failure of the key's.
                        if !Task.isCancelled {
                            queue.addRateLimited(key)
                            report(error, key: key, name: name, queue: queue, logger: logger)
                        }
                    }
                    queue.done(key)
                }
            }
        }
    }
}

private func report<Key>(
    _ error: any Error, key: Key, name: String, queue: WorkQueue<Key>, logger: Logger
) {
    let level: Logger.Level = isConflict(error) ? .debug : .warning
    logger.log(
        level: level, "reconciliation failed, it will be tried again",
        metadata: [
            "controller": "\(name)", "key": "\(key)", "failures": "\(queue.failureCount(key))",
            "error": "\(error)",
        ])
}
