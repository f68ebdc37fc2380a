import KubernetesJSON

/// A point in time with a resolution of one second (metav1.Time), in JSON as RFC 3339.
public struct Time: JSONCodable, Comparable, CustomStringConvertible {
    /// Seconds since 1970-01-01T00:00:00Z.
    public var seconds: Int

    /// Makes the beginning of 1970.
    public init() { seconds = 0 }

    /// Makes a time of seconds since 1970-01-01T00:00:00Z. Years outside 1 to 9999 have no text.
    public init(seconds: Int) { self.seconds = min(max(seconds, -62_135_596_800), 253_402_300_799) }

    /// Reads RFC 3339 text; a fraction of a second is dropped.
    public init?(_ text: String) {
        guard let time = CivilTime(parsing: text) else { return nil }
        self.init(seconds: time.seconds)
    }

    /// The current time.
    public static func now() -> Time { Time(seconds: CivilTime.now().seconds) }

    /// The time as RFC 3339 text in UTC.
    public var description: String { CivilTime(seconds: seconds, nanoseconds: 0).text(places: 0) }

    public init(reading reader: inout JSONReader) throws(JSONError) {
        if try reader.readNull() {
            self.init()
            return
        }
        let text = try reader.string()
        guard let time = Time(text) else {
            throw reader.invalidValue("expected an RFC 3339 time, found \"\(text)\"")
        }
        self = time
    }

    public func write(to writer: inout JSONWriter) { writer.string(description) }

    public static func < (left: Time, right: Time) -> Bool { left.seconds < right.seconds }
}

/// A point in time with a resolution of one microsecond (metav1.MicroTime), in JSON as RFC 3339.
public struct MicroTime: JSONCodable, Comparable, CustomStringConvertible {
    /// Microseconds since 1970-01-01T00:00:00Z.
    public var microseconds: Int

    /// Makes the beginning of 1970.
    public init() { microseconds = 0 }

    /// Makes a time of microseconds since 1970-01-01T00:00:00Z. Years outside 1 to 9999 have no text.
    public init(microseconds: Int) {
        self.microseconds = min(max(microseconds, -62_135_596_800_000_000), 253_402_300_799_999_999)
    }

    /// Reads RFC 3339 text.
    public init?(_ text: String) {
        guard let time = CivilTime(parsing: text) else { return nil }
        self.init(microseconds: time.seconds * 1_000_000 + time.nanoseconds / 1000)
    }

    /// The current time.
    public static func now() -> MicroTime {
        let time = CivilTime.now()
        return MicroTime(microseconds: time.seconds * 1_000_000 + time.nanoseconds / 1000)
    }

    /// The time as RFC 3339 text in UTC with six decimal places.
    public var description: String {
        var seconds = microseconds / 1_000_000
        var rest = microseconds % 1_000_000
        if rest < 0 {
            rest += 1_000_000
            seconds -= 1
        }
        return CivilTime(seconds: seconds, nanoseconds: rest * 1000).text(places: 6)
    }

    public init(reading reader: inout JSONReader) throws(JSONError) {
        if try reader.readNull() {
            self.init()
            return
        }
        let text = try reader.string()
        guard let time = MicroTime(text) else {
            throw reader.invalidValue("expected an RFC 3339 time, found \"\(text)\"")
        }
        self = time
    }

    public func write(to writer: inout JSONWriter) { writer.string(description) }

    public static func < (left: MicroTime, right: MicroTime) -> Bool {
        left.microseconds < right.microseconds
    }
}
