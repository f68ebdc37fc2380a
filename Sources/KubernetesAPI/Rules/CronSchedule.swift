/// Timetables in cron's form: minute, hour, day of the month, month, day of the week; or `@daily` and its like.
enum CronSchedule {
    /// What is wrong with a timetable, in upstream's words; nil when nothing is.
    static func mistake(in text: String) -> String? {
        do {
            try check(text)
            return nil
        } catch {
            return error.message
        }
    }

    private struct Mistake: Error {
        var message: String
    }

    private struct Field {
        var range: ClosedRange<Int>
        var names: [String: Int] = [:]
    }

    private static let fields: [Field] = [
        Field(range: 0...59), Field(range: 0...23), Field(range: 1...31),
        Field(
            range: 1...12,
            names: [
                "jan": 1, "feb": 2, "mar": 3, "apr": 4, "may": 5, "jun": 6, "jul": 7, "aug": 8, "sep": 9,
                "oct": 10, "nov": 11, "dec": 12,
            ]),
        Field(
            range: 0...6, names: ["sun": 0, "mon": 1, "tue": 2, "wed": 3, "thu": 4, "fri": 5, "sat": 6]),
    ]

    private static let descriptors: Set<String> = [
        "@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly",
    ]

    private static func check(_ text: String) throws(Mistake) {
        var spec = text
        if spec.isEmpty { throw Mistake(message: "empty spec string") }
        if spec.hasPrefix("TZ=") || spec.hasPrefix("CRON_TZ=") {
            let head = spec.prefix { $0 != " " }
            let zone = head.drop { $0 != "=" }.dropFirst()
            guard TimeZoneNames.isKnown(String(zone)) else {
                throw Mistake(message: "provided bad location \(zone): unknown time zone \(zone)")
            }
            spec = String(spec.dropFirst(head.count).drop { $0 == " " })
        }
        if spec.hasPrefix("@") {
            try checkDescriptor(spec)
            return
        }
        let parts = spec.split { $0.isWhitespace }.map(String.init)
        guard parts.count == fields.count else {
            throw Mistake(
                message: "expected exactly 5 fields, found \(parts.count): [\(parts.joined(separator: " "))]")
        }
        for (part, field) in zip(parts, fields) {
            for range in part.split(separator: ",") { try check(String(range), field) }
        }
    }

    private static func checkDescriptor(_ spec: String) throws(Mistake) {
        if descriptors.contains(spec) { return }
        let every = "@every "
        guard spec.hasPrefix(every) else { throw Mistake(message: "unrecognized descriptor: \(spec)") }
        let duration = String(spec.dropFirst(every.count))
        guard MetaDuration(duration) != nil else {
            throw Mistake(
                message: "failed to parse duration \(spec): time: invalid duration \(GoText.quoted(duration))"
            )
        }
    }

    /// One range with its step: `5`, `1-5`, `*/15`, `mon-fri/2`.
    private static func check(_ text: String, _ field: Field) throws(Mistake) {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
        let ends = parts[0].split(separator: "-", omittingEmptySubsequences: false).map(String.init)
        var start = field.range.lowerBound
        var end = field.range.upperBound
        if ends[0] != "*", ends[0] != "?" {
            start = try number(ends[0], field.names)
            switch ends.count {
            case 1: end = start
            case 2: end = try number(ends[1], field.names)
            default: throw Mistake(message: "too many hyphens: \(text)")
            }
        }
        var step = 1
        switch parts.count {
        case 1: break
        case 2:
            step = try number(parts[1], [:])
            if ends.count == 1 { end = field.range.upperBound }
        default: throw Mistake(message: "too many slashes: \(text)")
        }
        if start < field.range.lowerBound {
            throw Mistake(
                message: "beginning of range (\(start)) below minimum (\(field.range.lowerBound)): \(text)")
        }
        if end > field.range.upperBound {
            throw Mistake(
                message: "end of range (\(end)) above maximum (\(field.range.upperBound)): \(text)")
        }
        if start > end {
            throw Mistake(message: "beginning of range (\(start)) beyond end of range (\(end)): \(text)")
        }
        if step == 0 { throw Mistake(message: "step of range should be a positive number: \(text)") }
    }

    private static func number(_ text: String, _ names: [String: Int]) throws(Mistake) -> Int {
        if let value = names[text.lowercased()] { return value }
        guard let value = Int(text) else {
            throw Mistake(
                message: "failed to parse int from \(text): strconv.Atoi: parsing \(GoText.quoted(text)): "
                    + "invalid syntax")
        }
        if value < 0 { throw Mistake(message: "negative number (\(value)) not allowed: \(text)") }
        return value
    }
}
