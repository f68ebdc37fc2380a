import ArgumentParser
import Logging

/// How talkative the program is: everything from this level on goes to standard error.
enum LogLevel: String, ExpressibleByArgument, CaseIterable {
    case trace, debug, info, notice, warning, error, critical

    /// To be called once, before anything logs.
    func bootstrap() {
        let level = Logger.Level(rawValue: rawValue) ?? .notice
        LoggingSystem.bootstrap { label in
            var handler = StreamLogHandler.standardError(label: label)
            handler.logLevel = level
            return handler
        }
    }
}
