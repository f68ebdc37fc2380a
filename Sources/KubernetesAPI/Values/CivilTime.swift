import Glibc

/// The calendar behind `Time` and `MicroTime`: RFC 3339 in the proleptic Gregorian calendar.
struct CivilTime: Sendable, Hashable {
    /// Seconds since 1970-01-01T00:00:00Z.
    var seconds: Int
    /// What follows the second.
    var nanoseconds: Int

    init(seconds: Int, nanoseconds: Int) {
        self.seconds = seconds
        self.nanoseconds = nanoseconds
    }

    /// Reads an RFC 3339 time such as `2026-01-02T03:04:05.678+01:00`.
    init?(parsing text: String) {
        let bytes = Array(text.utf8)
        guard bytes.count >= 20, bytes.count < 64 else { return nil }
        func number(_ start: Int, _ count: Int) -> Int? {
            guard start + count <= bytes.count else { return nil }
            var value = 0
            for index in start..<(start + count) {
                guard bytes[index] >= 48, bytes[index] <= 57 else { return nil }
                value = value * 10 + Int(bytes[index]) - 48
            }
            return value
        }
        guard let year = number(0, 4), bytes[4] == 45, let month = number(5, 2), bytes[7] == 45,
            let day = number(8, 2), bytes[10] | 0x20 == 116, let hour = number(11, 2), bytes[13] == 58,
            let minute = number(14, 2), bytes[16] == 58, let second = number(17, 2),
            month >= 1, month <= 12, day >= 1, day <= Self.days(in: month, of: year), hour < 24, minute < 60,
            second < 60
        else { return nil }
        var index = 19
        nanoseconds = 0
        if bytes[index] == 46 || bytes[index] == 44 {
            index += 1
            let start = index
            var scale = 100_000_000
            while index < bytes.count, bytes[index] >= 48, bytes[index] <= 57 {
                nanoseconds += (Int(bytes[index]) - 48) * scale
                scale /= 10
                index += 1
            }
            guard index > start else { return nil }
        }
        guard index < bytes.count else { return nil }
        var offset = 0
        if bytes[index] | 0x20 == 122 {
            index += 1
        } else {
            guard bytes[index] == 43 || bytes[index] == 45, let hours = number(index + 1, 2), hours < 24,
                index + 3 < bytes.count, bytes[index + 3] == 58, let minutes = number(index + 4, 2),
                minutes < 60
            else { return nil }
            offset = (hours * 3600 + minutes * 60) * (bytes[index] == 43 ? 1 : -1)
            index += 6
        }
        guard index == bytes.count else { return nil }
        seconds = Self.daysSinceEpoch(year, month, day) * 86400 + hour * 3600 + minute * 60 + second - offset
    }

    /// The time in UTC with a number of decimal places.
    func text(places: Int) -> String {
        let days = Int((Double(seconds) / 86400).rounded(.down))
        let rest = seconds - days * 86400
        let (year, month, day) = Self.date(daysSinceEpoch: days)
        var bytes: [UInt8] = []
        bytes.reserveCapacity(30)
        func pad(_ value: Int, _ count: Int, _ bytes: inout [UInt8]) {
            var divisor = 1
            for _ in 1..<count { divisor *= 10 }
            while divisor > 0 {
                bytes.append(48 + UInt8(value / divisor % 10))
                divisor /= 10
            }
        }
        pad(year, 4, &bytes)
        bytes.append(45)
        pad(month, 2, &bytes)
        bytes.append(45)
        pad(day, 2, &bytes)
        bytes.append(84)
        pad(rest / 3600, 2, &bytes)
        bytes.append(58)
        pad(rest / 60 % 60, 2, &bytes)
        bytes.append(58)
        pad(rest % 60, 2, &bytes)
        if places > 0 {
            bytes.append(46)
            var value = nanoseconds
            for _ in places..<9 { value /= 10 }
            pad(value, places, &bytes)
        }
        bytes.append(90)
        return String(decoding: bytes, as: UTF8.self)
    }

    private static func isLeap(_ year: Int) -> Bool { year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) }

    private static func days(in month: Int, of year: Int) -> Int {
        switch month {
        case 2: return isLeap(year) ? 29 : 28
        case 4, 6, 9, 11: return 30
        default: return 31
        }
    }

    /// Counted in years that begin in March, so that the leap day is the last one.
    private static func daysSinceEpoch(_ year: Int, _ month: Int, _ day: Int) -> Int {
        let shifted = month > 2 ? year : year - 1
        let era = (shifted >= 0 ? shifted : shifted - 399) / 400
        let yearOfEra = shifted - era * 400
        let dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
        let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
        return era * 146097 + dayOfEra - 719468
    }

    private static func date(daysSinceEpoch: Int) -> (Int, Int, Int) {
        let days = daysSinceEpoch + 719468
        let era = (days >= 0 ? days : days - 146096) / 146097
        let dayOfEra = days - era * 146097
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36524 - dayOfEra / 146096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let shiftedMonth = (5 * dayOfYear + 2) / 153
        let day = dayOfYear - (153 * shiftedMonth + 2) / 5 + 1
        let month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
        let year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
        return (year, month, day)
    }

    static func now() -> CivilTime {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return CivilTime(seconds: time.tv_sec, nanoseconds: time.tv_nsec)
    }
}
