import NIOCore
import NIOPosix

/// A thread for a client's connections. A task that runs there as well sends and receives without changing threads:
/// for a load generator that should be as light as one can be.
package struct ClientThread: Sendable {
    let eventLoop: any EventLoop
    /// Runs tasks on the thread.
    package let executor: any TaskExecutor

    private init(_ eventLoop: any EventLoop) {
        self.eventLoop = eventLoop
        executor = EventLoopExecutor(eventLoop)
    }

    /// One of the process's threads for connections, in turn.
    package static func next() -> ClientThread {
        ClientThread(MultiThreadedEventLoopGroup.singleton.next())
    }
}
