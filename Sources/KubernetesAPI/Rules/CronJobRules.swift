extension CronJob: Defaulting {
    public mutating func applyDefaults() {
        if spec.concurrencyPolicy.isEmpty { spec.concurrencyPolicy = "Allow" }
        if spec.suspend == nil { spec.suspend = false }
        if spec.successfulJobsHistoryLimit == nil { spec.successfulJobsHistoryLimit = 3 }
        if spec.failedJobsHistoryLimit == nil { spec.failedJobsHistoryLimit = 1 }
        // The Jobs get their own defaults when they are made.
        spec.jobTemplate.spec.template.spec.applyDefaults()
    }
}

extension CronJob: Validating {
    public func validate() -> [FieldError] {
        var errors = metadata.validate(isNamespaced: true, name: NameRules.subdomain) + validateSpec(old: nil)
        // The name of a Job is that of the CronJob, a dash and ten digits, and becomes a label.
        if metadata.name.utf8.count > 52 {
            errors.invalid("metadata.name", metadata.name, RuleText.maximumLength(52))
        }
        return errors
    }

    public func validateUpdate(from old: CronJob) -> [FieldError] {
        metadata.validateUpdate(from: old.metadata) + validateSpec(old: old.spec)
    }

    private func validateSpec(old: CronJobSpec?) -> [FieldError] {
        var errors: [FieldError] = []
        if spec.schedule.isEmpty {
            errors.required("spec.schedule")
        } else {
            errors += validateSchedule(allowsZone: old?.schedule.contains("TZ") ?? false)
        }
        if let seconds = spec.startingDeadlineSeconds {
            errors.requireNonnegative("spec.startingDeadlineSeconds", seconds)
        }
        if let zone = spec.timeZone, old == nil || old?.timeZone != zone {
            errors += TimeZoneRules.name("spec.timeZone", zone)
        }
        errors.requireNamed(
            "spec.concurrencyPolicy", spec.concurrencyPolicy, ["Allow", "Forbid", "Replace"])
        errors += validateTemplate()
        for (field, limit) in [
            ("successfulJobsHistoryLimit", spec.successfulJobsHistoryLimit),
            ("failedJobsHistoryLimit", spec.failedJobsHistoryLimit),
        ] {
            if let limit { errors.requireNonnegative(RulePath("spec").child(field), limit) }
        }
        return errors
    }

    private func validateSchedule(allowsZone: Bool) -> [FieldError] {
        var errors: [FieldError] = []
        if let mistake = CronSchedule.mistake(in: spec.schedule) {
            errors.invalid("spec.schedule", spec.schedule, mistake)
        }
        guard spec.schedule.contains("TZ") else { return errors }
        if !allowsZone {
            errors.invalid(
                "spec.schedule", spec.schedule,
                "cannot use TZ or CRON_TZ in schedule, use timeZone field instead")
        } else if spec.timeZone != nil {
            errors.invalid(
                "spec.schedule", spec.schedule,
                "cannot use both timeZone field and TZ or CRON_TZ in schedule")
        }
        return errors
    }

    private func validateTemplate() -> [FieldError] {
        let path: RulePath = "spec.jobTemplate.spec"
        let template = spec.jobTemplate.spec
        var errors = JobRules.spec(path, template)
        if let selector = template.selector {
            errors.invalid(
                path.child("selector"), shown: GoSyntax.selector(selector),
                "`selector` will be auto-generated")
        }
        if template.manualSelector == true {
            errors.append(
                .notSupported(path.child("manualSelector").text, .bool(true), ["nil", "false"]))
        }
        return errors
    }
}

/// What a time zone may be called.
enum TimeZoneRules {
    static func name(_ path: RulePath, _ name: String) -> [FieldError] {
        var errors: [FieldError] = []
        guard !name.isEmpty else {
            errors.invalid(path, name, "timeZone must be nil or non-empty string")
            return errors
        }
        let parts = name.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.allSatisfy(isPart) else {
            errors.invalid(path, name, "unknown time zone \(name)")
            return errors
        }
        if name.lowercased() == "local" {
            errors.invalid(
                path, name,
                "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones")
        }
        if name != "Local", !TimeZoneNames.isKnown(name) {
            errors.invalid(path, name, "unknown time zone \(name)")
        }
        return errors
    }

    private static func isPart(_ part: Substring) -> Bool {
        guard (1...14).contains(part.utf8.count), part != ".", part != "..", !part.hasPrefix("-") else {
            return false
        }
        return part.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "-"),
                UInt8(ascii: "_"), UInt8(ascii: "+"):
                true
            default: false
            }
        }
    }
}
