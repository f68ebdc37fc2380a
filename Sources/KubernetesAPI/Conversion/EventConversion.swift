extension VersionConversion {
    /// `events.k8s.io/v1` Event, which is `v1` Event with other names for some fields.
    public static let events: VersionConversion = {
        let names = [
            ("involvedObject", "regarding"), ("message", "note"), ("source", "deprecatedSource"),
            ("firstTimestamp", "deprecatedFirstTimestamp"), ("lastTimestamp", "deprecatedLastTimestamp"),
            ("count", "deprecatedCount"), ("reportingComponent", "reportingController"),
        ]
        let about = ["kind", "namespace", "name", "uid", "apiVersion", "resourceVersion", "fieldPath"]
        var labels = ["reason": "reason", "type": "type", "reportingController": "reportingComponent"]
        for field in about { labels["regarding.\(field)"] = "involvedObject.\(field)" }
        return VersionConversion(
            of: Event.resource, as: EventsV1Event.self, fieldLabels: labels,
            toStored: { $0.rename(names.map { (from: $0.1, to: $0.0) }) },
            toServed: { $0.rename(names.map { (from: $0.0, to: $0.1) }) })
    }()
}
