import KubernetesAPI
import KubernetesJSON

/// The columns of the workloads that keep pods on nodes or in order, and of their history.
enum WorkloadTables {
    static let statefulSets = TablePrinter<StatefulSet>([
        .name,
        TableColumn("Ready", "How many pods are ready, of how many wanted."),
        .age,
        .wide("Containers", "The names of the containers."),
        .wide("Images", "The images of the containers."),
    ]) { set, now in
        [
            .string(set.metadata.name),
            .string("\(set.status.readyReplicas)/\(set.spec.replicas ?? 0)"),
            Cell.age(set.metadata.creationTimestamp, now),
        ] + Cell.containers(set.spec.template.spec.containers)
    }

    static let daemonSets = TablePrinter<DaemonSet>([
        .name,
        TableColumn("Desired", type: "integer", "How many nodes should have a pod."),
        TableColumn("Current", type: "integer", "How many of them have one."),
        TableColumn("Ready", type: "integer", "How many of them have a ready one."),
        TableColumn("Up-to-date", type: "integer", "How many have one of the current template."),
        TableColumn("Available", type: "integer", "How many have one that has been ready long enough."),
        TableColumn("Node Selector", "Labels of the nodes that should have a pod."),
        .age,
        .wide("Containers", "The names of the containers."),
        .wide("Images", "The images of the containers."),
        .wide("Selector", "Which pods it owns."),
    ]) { set, now in
        let status = set.status
        return [
            .string(set.metadata.name), Cell.integer(status.desiredNumberScheduled),
            Cell.integer(status.currentNumberScheduled), Cell.integer(status.numberReady),
            Cell.integer(status.updatedNumberScheduled), Cell.integer(status.numberAvailable),
            .string(Cell.labels(set.spec.template.spec.nodeSelector)),
            Cell.age(set.metadata.creationTimestamp, now),
        ] + Cell.containers(set.spec.template.spec.containers)
            + [.string(Cell.selector(set.spec.selector))]
    }

    static let controllerRevisions = TablePrinter<ControllerRevision>([
        .name,
        TableColumn("Controller", "Whose state it is."),
        TableColumn("Revision", type: "integer", "Where it stands in the order of states."),
        .age,
    ]) { revision, now in
        let owner = revision.metadata.ownerReferences.first { $0.controller == true }
        return [
            .string(revision.metadata.name), .string(owner.map(Cell.owner) ?? "<none>"),
            Cell.integer(revision.revision), Cell.age(revision.metadata.creationTimestamp, now),
        ]
    }
}

/// The columns of the `batch` group.
enum BatchTables {
    static let jobs = TablePrinter<Job>([
        .name,
        TableColumn("Status", "Where the job stands."),
        TableColumn("Completions", "How many pods have succeeded, of how many wanted."),
        TableColumn("Duration", "From its start to its success, or until now."),
        .age,
        .wide("Containers", "The names of the containers."),
        .wide("Images", "The images of the containers."),
        .wide("Selector", "Which pods it owns."),
    ]) { job, now in
        [
            .string(job.metadata.name), .string(status(of: job)), .string(completions(of: job)),
            .string(duration(of: job, now)), Cell.age(job.metadata.creationTimestamp, now),
        ] + Cell.containers(job.spec.template.spec.containers)
            + [.string(Cell.selector(job.spec.selector))]
    }

    static let cronJobs = TablePrinter<CronJob>([
        .name,
        TableColumn("Schedule", "When it runs."),
        TableColumn("Timezone", "Whose clock the schedule is about."),
        TableColumn("Suspend", "Whether further runs are held."),
        TableColumn("Active", type: "integer", "How many jobs run now."),
        TableColumn("Last Schedule", "Time since the last job was due."),
        .age,
        .wide("Containers", "The names of the containers."),
        .wide("Images", "The images of the containers."),
        .wide("Selector", "Which pods its jobs own."),
    ]) { job, now in
        let template = job.spec.jobTemplate.spec
        let last = job.status.lastScheduleTime
        return [
            .string(job.metadata.name), .string(job.spec.schedule),
            .string(job.spec.timeZone ?? "<none>"),
            .string(job.spec.suspend.map { $0 ? "True" : "False" } ?? "<unset>"),
            Cell.integer(job.status.active.count),
            last == nil ? "<none>" : Cell.age(last, now),
            Cell.age(job.metadata.creationTimestamp, now),
        ] + Cell.containers(template.template.spec.containers)
            + [.string(Cell.selector(template.selector))]
    }

    private static func status(of job: Job) -> String {
        func holds(_ type: String) -> Bool {
            job.status.conditions.contains { $0.type == type && $0.status == "True" }
        }
        if holds("Complete") { return "Complete" }
        if holds("Failed") { return "Failed" }
        if job.metadata.deletionTimestamp != nil { return "Terminating" }
        return ["Suspended", "FailureTarget", "SuccessCriteriaMet"].first(where: holds) ?? "Running"
    }

    private static func completions(of job: Job) -> String {
        let succeeded = job.status.succeeded
        if let wanted = job.spec.completions { return "\(succeeded)/\(wanted)" }
        let parallelism = job.spec.parallelism ?? 0
        return parallelism > 1 ? "\(succeeded)/1 of \(parallelism)" : "\(succeeded)/1"
    }

    private static func duration(of job: Job, _ now: Time) -> String {
        guard let start = job.status.startTime else { return "" }
        let end = job.status.completionTime ?? now
        return HumanDuration.text(seconds: end.seconds - start.seconds)
    }
}
