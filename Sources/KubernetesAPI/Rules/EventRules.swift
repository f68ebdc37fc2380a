extension Event {
    /// What is wrong with an event that comes as `events.k8s.io/v1`, which asks for more than the core group: all
    /// that is new must be there, all that is old must not, and little may change.
    public func validateAsEventsV1(from old: Event?) -> [FieldError] {
        var errors = findings(reporter: "reportingController")
        guard let old else { return errors + validateNew() }
        errors += metadata.validateUpdate(from: old.metadata)
        if series != old.series { errors += validateSeries() }
        func fix(_ field: RulePath, _ shown: String, _ isChanged: Bool) {
            if isChanged { errors.invalid(field, shown: shown, RuleText.immutable) }
        }
        func shown(_ time: (some CustomStringConvertible)?) -> String { time.map { "\($0)" } ?? "null" }
        fix("involvedObject", "\(involvedObject.jsonValue)", involvedObject != old.involvedObject)
        for (field, new, was) in [
            ("reason", reason, old.reason), ("message", message, old.message), ("type", type, old.type),
            ("action", action, old.action),
            ("reportingController", reportingComponent, old.reportingComponent),
            ("reportingInstance", reportingInstance, old.reportingInstance),
        ] {
            errors.requireUnchanged(RulePath(field), new, was)
        }
        fix("source", "\(source.jsonValue)", source != old.source)
        fix("firstTimestamp", shown(firstTimestamp), firstTimestamp != old.firstTimestamp)
        fix("lastTimestamp", shown(lastTimestamp), lastTimestamp != old.lastTimestamp)
        fix("count", "\(count)", count != old.count)
        fix("eventTime", shown(eventTime), eventTime != old.eventTime)
        fix("related", related.map { "\($0.jsonValue)" } ?? "null", related != old.related)
        return errors
    }

    private func validateNew() -> [FieldError] {
        var errors = metadata.validate(isNamespaced: true, name: NameRules.subdomain)
        errors += validateSeries()
        if eventTime == nil { errors.required("eventTime") }
        if type != "Normal", type != "Warning" { errors.invalid("type", "", "has invalid value: \(type)") }
        for (field, isSet) in [
            ("firstTimestamp", firstTimestamp != nil), ("lastTimestamp", lastTimestamp != nil),
            ("count", count != 0), ("source", source != EventSource()),
        ] where isSet {
            errors.invalid(RulePath(field), "", "needs to be unset")
        }
        return errors
    }

    private func validateSeries() -> [FieldError] {
        guard let series else { return [] }
        var errors: [FieldError] = []
        if series.count < 2 { errors.invalid("series.count", "", "should be at least 2") }
        if series.lastObservedTime == nil { errors.required("series.lastObservedTime") }
        return errors
    }
}
