import NIOCore

/// Runs tasks on a connection's event loop, between its reads and writes.
///
/// What answers a request from memory then never leaves the thread that read it: no other thread has to be woken to
/// answer, nor the event loop to send. What takes long has to go elsewhere by itself
/// (`withTaskExecutorPreference(globalConcurrentExecutor)`), since the loop's other connections wait meanwhile.
final class EventLoopExecutor: TaskExecutor {
    private let eventLoop: any EventLoop

    init(_ eventLoop: any EventLoop) {
        self.eventLoop = eventLoop
    }

    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        eventLoop.execute { job.runSynchronously(on: self.asUnownedTaskExecutor()) }
    }
}
