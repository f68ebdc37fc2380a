import KubernetesAPI
import KubernetesJSON

/// One column of a `meta.k8s.io/v1` Table.
package struct TableColumn: Sendable, Hashable {
    package var name: String
    /// `string`, `integer`, `date` …
    package var type: String
    /// `name` marks the column that identifies the object.
    package var format: String
    package var description: String
    /// 0: always shown; 1: shown with `-o wide`.
    package var priority: Int

    package init(
        _ name: String, type: String = "string", format: String = "", priority: Int = 0,
        _ description: String = ""
    ) {
        self.name = name
        self.type = type
        self.format = format
        self.priority = priority
        self.description = description
    }

    /// The column every kind begins with.
    static let name = TableColumn(
        "Name", format: "name", "The object's name, unique among its kind within a namespace.")
    /// The column most kinds end their narrow form with.
    static let age = TableColumn("Age", "Time since the object was created.")

    static func wide(_ name: String, _ description: String) -> TableColumn {
        TableColumn(name, priority: 1, description)
    }
}

/// What `kubectl get` shows of a kind: the columns, and an object's cells in them.
package struct TablePrinter<Object: KubernetesObject>: Sendable {
    package var columns: [TableColumn]
    /// The cells of an object at a moment (ages count from it).
    package var cells: @Sendable (Object, Time) -> [JSONValue]

    package init(_ columns: [TableColumn], _ cells: @escaping @Sendable (Object, Time) -> [JSONValue]) {
        self.columns = columns
        self.cells = cells
    }

    /// Name and time of creation: what upstream shows of kinds without columns of their own.
    package static var basic: TablePrinter {
        TablePrinter([
            .name, TableColumn("Created At", type: "date", "When the object was created."),
        ]) { object, _ in
            let created = object.metadata.creationTimestamp
            return [.string(object.metadata.name), .string(created.map { "\($0)" } ?? "")]
        }
    }
}

/// Texts in cells.
enum Cell {
    static func age(_ since: Time?, _ now: Time) -> JSONValue {
        .string(since.map { HumanDuration.text(seconds: now.seconds - $0.seconds) } ?? "<unknown>")
    }

    static func orNone(_ text: String) -> JSONValue { .string(text.isEmpty ? "<none>" : text) }

    static func integer(_ value: Int) -> JSONValue { .integer(Int64(value)) }

    /// `a=1,b=2`, sorted, or `<none>`.
    static func labels(_ labels: [String: String]) -> String {
        guard !labels.isEmpty else { return "<none>" }
        return labels.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }.joined(separator: ",")
    }

    static func selector(_ selector: LabelSelector?) -> String {
        guard let selector else { return "<none>" }
        return Selectors.describe(selector)
    }

    /// `statefulset.apps/db`: an owner by kind, group and name.
    static func owner(_ owner: OwnerReference) -> String {
        let version = owner.apiVersion.split(separator: "/", omittingEmptySubsequences: false)
        let group = version.count == 2 ? ".\(version[0])" : ""
        return "\(owner.kind)\(group)".asciiLowercased() + "/" + owner.name
    }

    static func containers(_ containers: [Container]) -> [JSONValue] {
        [
            .string(containers.map(\.name).joined(separator: ",")),
            .string(containers.map(\.image).joined(separator: ",")),
        ]
    }

    /// At most `maximum` parts, then how many are left out.
    static func shortened(_ parts: [String], maximum: Int = 3) -> String {
        let shown = parts.prefix(maximum).joined(separator: ",")
        return parts.count > maximum ? "\(shown) + \(parts.count - maximum) more..." : shown
    }
}

/// Durations as `kubectl get` shows ages: two units at most, the finer the shorter.
package enum HumanDuration {
    package static func text(seconds: Int) -> String {
        if seconds < -1 { return "<invalid>" }
        if seconds < 0 { return "0s" }
        if seconds < 120 { return "\(seconds)s" }
        let minutes = seconds / 60
        if minutes < 10 { return pair(minutes, "m", seconds % 60, "s") }
        if minutes < 180 { return "\(minutes)m" }
        let hours = minutes / 60
        if hours < 8 { return pair(hours, "h", minutes % 60, "m") }
        if hours < 48 { return "\(hours)h" }
        let days = hours / 24
        if hours < 192 { return pair(days, "d", hours % 24, "h") }
        if hours < 24 * 365 * 2 { return "\(days)d" }
        if hours < 24 * 365 * 8 { return pair(days / 365, "y", days % 365, "d") }
        return "\(days / 365)y"
    }

    private static func pair(_ major: Int, _ majorUnit: String, _ minor: Int, _ minorUnit: String) -> String {
        minor == 0 ? "\(major)\(majorUnit)" : "\(major)\(majorUnit)\(minor)\(minorUnit)"
    }
}
