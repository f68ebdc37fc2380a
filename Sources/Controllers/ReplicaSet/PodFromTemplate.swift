import KubernetesAPI

extension Pod {
    /// A pod as a controller's template describes it, named by the server after the controller.
    ///
    /// - Parameter owner: becomes the pod's controller; its name, cut to fit, is the prefix of the pod's.
    static func make<Owner: KubernetesObject>(from template: PodTemplateSpec, for owner: Owner) -> Pod {
        var pod = Pod()
        pod.metadata.namespace = owner.metadata.namespace
        pod.metadata.generateName = "\(owner.metadata.name)-"
        pod.metadata.labels = template.metadata.labels
        pod.metadata.annotations = template.metadata.annotations
        pod.metadata.finalizers = template.metadata.finalizers
        pod.metadata.ownerReferences = [owner.asController]
        pod.spec = template.spec
        return pod
    }
}
