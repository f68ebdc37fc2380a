import KubernetesAPI

/// The `batch` group, `v1`.
enum BatchResources {
    static let all: [any AnyResource] = [cronJobs, jobs]

    static let cronJobs: Resource<CronJob> = {
        var resource = Resource<CronJob>()
        resource.table = BatchTables.cronJobs
        resource.specWarnings = {
            $0.spec.jobTemplate.spec.template.warnings(at: "spec.jobTemplate.spec.template")
        }
        resource.creationWarnings = { NameAdvice.ofPods($0.metadata.name) }
        resource.subresources = [.status("CronJob")]
        resource.generationDiffers = { $0.spec != $1.spec }
        resource.prepareForCreate = { $0.status = CronJobStatus() }
        resource.prepareForUpdate = { $0.status = $1.status }
        resource.prepareForStatusUpdate = { $0.spec = $1.spec }
        return resource
    }()

    static let jobs: Resource<Job> = {
        var resource = Resource<Job>()
        resource.table = BatchTables.jobs
        resource.specWarnings = { $0.spec.template.warnings(at: "spec.template") }
        resource.creationWarnings = { NameAdvice.ofPods($0.metadata.name) + $0.warnings }
        resource.fieldLabels = ["status.successful"]
        resource.fields = { ["status.successful": "\($0.status.succeeded)"] }
        resource.subresources = [.status("Job")]
        resource.defaultPropagation = .orphan
        resource.propagationWarning =
            "child pods are preserved by default when jobs are deleted; set propagationPolicy=Background to "
            + "remove them or set propagationPolicy=Orphan to suppress this warning"
        resource.generationDiffers = { $0.spec != $1.spec }
        resource.prepareForCreate = { job in
            job.makeSelector()
            job.status = JobStatus()
        }
        resource.prepareForUpdate = { $0.status = $1.status }
        resource.prepareForStatusUpdate = { $0.spec = $1.spec }
        return resource
    }()
}
