/// Rules on a Job's status. It may come from controllers that are not ours (`managedBy`), so that states which
/// would mislead clients are refused; those that were there before are let be.
extension Job {
    public func validateStatusUpdate(from old: Job) -> [FieldError] {
        JobStatusRules(new: self, old: old).findings
    }

    fileprivate func holds(_ type: String) -> Bool {
        status.conditions.contains { $0.type == type && $0.status == "True" }
    }

    fileprivate var isFinished: Bool { holds("Complete") || holds("Failed") }
}

private struct JobStatusRules {
    let new: Job
    let old: Job

    private var status: JobStatus { new.status }

    /// Whether something about the Job differs from before.
    private func changes<Value: Equatable>(_ value: (Job) -> Value) -> Bool { value(new) != value(old) }

    var findings: [FieldError] {
        new.metadata.validateUpdate(from: old.metadata) + counts + uncounted + ends + pods + indexes
            + criteria
            + transitions
    }

    private func condition(_ detail: String) -> FieldError {
        FieldError(type: .invalid, field: "status.conditions", detail: detail)
    }

    private func shown(_ time: Time?) -> String { time.map { "\($0)" } ?? "null" }

    private var counts: [FieldError] {
        var errors: [FieldError] = []
        for (field, value) in [
            ("active", status.active), ("succeeded", status.succeeded), ("failed", status.failed),
            ("ready", status.ready ?? 0), ("terminating", status.terminating ?? 0),
        ] {
            errors.requireNonnegative(RulePath("status").child(field), value)
        }
        return errors
    }

    private var uncounted: [FieldError] {
        var errors: [FieldError] = []
        var seen: Set<String> = []
        let pods = status.uncountedTerminatedPods ?? UncountedTerminatedPods()
        for (field, list) in [("succeeded", pods.succeeded), ("failed", pods.failed)] {
            for (index, uid) in list.enumerated() {
                let path = RulePath("status.uncountedTerminatedPods").child(field).index(index)
                if uid.isEmpty {
                    errors.invalid(path, uid, "must not be empty")
                } else if !seen.insert(uid).inserted {
                    errors.duplicate(path, uid)
                }
            }
        }
        return errors
    }

    /// How conditions and times of the end go together.
    private var ends: [FieldError] {
        var errors: [FieldError] = []
        let isComplete = new.holds("Complete")
        let completes = changes { $0.holds("Complete") }
        let fails = changes { $0.holds("Failed") }
        let targets = changes { $0.holds("FailureTarget") }
        let completionMoves = changes { $0.status.completionTime }
        let path: RulePath = "status.completionTime"
        if completes || fails, isComplete, new.holds("Failed") {
            errors.append(condition("cannot set Complete=True and Failed=true conditions"))
        }
        if completes || targets, isComplete, new.holds("FailureTarget") {
            errors.append(condition("cannot set Complete=True and FailureTarget=true conditions"))
        }
        if completes || completionMoves {
            if status.completionTime != nil, !isComplete {
                errors.invalid(
                    path, shown: shown(status.completionTime),
                    "cannot set completionTime when there is no Complete=True condition")
            }
            if status.completionTime == nil, isComplete {
                errors.required(path, "completionTime is required for Complete jobs")
            }
        }
        if completionMoves || changes({ $0.status.startTime }), let start = status.startTime,
            let end = status.completionTime, end < start
        {
            errors.invalid(path, shown: shown(end), "completionTime cannot be set before startTime")
        }
        if fails || targets, new.holds("Failed"), !new.holds("FailureTarget") {
            errors.append(
                condition("cannot set Failed=True condition without the FailureTarget=true condition"))
        }
        if completes || changes({ $0.holds("SuccessCriteriaMet") }), isComplete,
            !new.holds("SuccessCriteriaMet")
        {
            errors.append(
                condition("cannot set Complete=True condition without the SuccessCriteriaMet=true condition"))
        }
        return errors
    }

    /// A Job that is over has no pods left.
    private var pods: [FieldError] {
        var errors: [FieldError] = []
        let finishes = changes(\.isFinished)
        let isFinished = new.isFinished
        if finishes || changes({ $0.status.active }), isFinished, status.active > 0 {
            errors.invalid("status.active", status.active, "active>0 is invalid for finished job")
        }
        if finishes || changes({ $0.status.startTime }), isFinished, status.startTime == nil {
            errors.required("status.startTime", "startTime is required for finished job")
        }
        if finishes || changes({ $0.status.uncountedTerminatedPods }), isFinished,
            let pods = status.uncountedTerminatedPods, !pods.failed.isEmpty || !pods.succeeded.isEmpty
        {
            errors.invalid(
                "status.uncountedTerminatedPods", shown: "\(pods.jsonValue)",
                "uncountedTerminatedPods needs to be empty for finished job")
        }
        if finishes || changes({ $0.status.terminating }), isFinished,
            let terminating = status.terminating, terminating > 0
        {
            errors.invalid("status.terminating", terminating, "terminating>0 is invalid for finished job")
        }
        if changes({ $0.status.ready }) || changes({ $0.status.active }), let ready = status.ready,
            ready > status.active
        {
            errors.invalid("status.ready", ready, "cannot set more ready pods than active")
        }
        return errors
    }

    private var indexes: [FieldError] {
        var errors: [FieldError] = []
        let limit = new.spec.completions
        let completedMove = changes { $0.status.completedIndexes }
        let failedMove = changes { $0.status.failedIndexes }
        func parse(_ field: String, _ text: String?, reports: Bool) -> JobIndexes? {
            guard let text, let limit else { return nil }
            do {
                return try JobIndexes(parsing: text, below: limit)
            } catch {
                guard reports else { return nil }
                errors.invalid(
                    RulePath("status").child(field), text, "error parsing \(field): \(error.message)")
                return nil
            }
        }
        let completed = parse("completedIndexes", status.completedIndexes, reports: completedMove)
        let failed = parse(
            "failedIndexes", status.failedIndexes,
            reports: failedMove && new.spec.backoffLimitPerIndex != nil)
        if completedMove, !status.completedIndexes.isEmpty, !new.spec.isIndexed {
            errors.invalid(
                "status.completedIndexes", status.completedIndexes,
                "cannot set non-empty completedIndexes when non-indexed completion mode")
        }
        guard let text = status.failedIndexes else { return errors }
        if failedMove, new.spec.backoffLimitPerIndex == nil {
            errors.invalid(
                "status.failedIndexes", text,
                "cannot set non-null failedIndexes when backoffLimitPerIndex is null")
        }
        if completedMove || failedMove, let completed, let failed,
            let index = failed.overlap(with: completed)
        {
            errors.invalid(
                "status.failedIndexes", text,
                "failedIndexes and completedIndexes overlap at index: \(index)")
        }
        return errors
    }

    private var criteria: [FieldError] {
        var errors: [FieldError] = []
        let isMet = new.holds("SuccessCriteriaMet")
        if isMet, new.holds("Failed") {
            errors.append(condition("cannot set SuccessCriteriaMet=True and Failed=true conditions"))
        }
        if isMet, new.holds("FailureTarget") {
            errors.append(condition("cannot set SuccessCriteriaMet=True and FailureTarget=true conditions"))
        }
        if new.spec.successPolicy != nil, !isMet, new.holds("Complete") {
            errors.append(
                condition(
                    "cannot set Complete=True for Job with SuccessPolicy unless SuccessCriteriaMet=True"))
        }
        return errors
    }

    /// What cannot be taken back.
    private var transitions: [FieldError] {
        var errors: [FieldError] = []
        for type in ["Failed", "Complete", "FailureTarget"] where old.holds(type) && !new.holds(type) {
            errors.append(condition("cannot disable the terminal \(type)=True condition"))
        }
        if status.failed < old.status.failed {
            errors.invalid("status.failed", status.failed, "cannot decrease the failed counter")
        }
        let mayShrink = new.spec.isIndexed && new.spec.completions == new.spec.parallelism
        if !mayShrink, status.succeeded < old.status.succeeded {
            errors.invalid("status.succeeded", status.succeeded, "cannot decrease the succeeded counter")
        }
        if let time = status.completionTime, let before = old.status.completionTime, time != before {
            errors.invalid("status.completionTime", shown: shown(time), "completionTime cannot be mutated")
        }
        if old.status.startTime != nil, old.status.startTime != status.startTime, new.spec.suspend != true {
            errors.required("status.startTime", "startTime cannot be removed for unsuspended job")
        }
        let wasMet = old.holds("SuccessCriteriaMet")
        let isMet = new.holds("SuccessCriteriaMet")
        if wasMet, !isMet { errors.append(condition("cannot disable the SuccessCriteriaMet=True condition")) }
        if old.holds("Complete"), !wasMet, isMet {
            errors.append(
                condition("cannot set SuccessCriteriaMet=True for Job already has Complete=true conditions"))
        }
        return errors
    }
}
