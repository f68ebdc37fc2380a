import Glibc

/// The names of the tz database, as this machine has it.
enum TimeZoneNames {
    private static let folder = "/usr/share/zoneinfo"

    /// Whether the machine has any, without which no name can be judged.
    private static let isThere = access("\(folder)/Etc/UTC", R_OK) == 0

    /// Whether a name, of the right form already, is that of a zone. `UTC` always is.
    static func isKnown(_ name: String) -> Bool {
        if !isThere || name == "UTC" { return true }
        var status = stat()
        return stat("\(folder)/\(name)", &status) == 0 && status.st_mode & S_IFMT == S_IFREG
    }
}
