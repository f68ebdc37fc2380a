import Controllers
import KubernetesAPI

/// Objects as the tests need them.
enum Make {
    static let now = Time(seconds: 1_800_000_000)

    static func deployment(
        replicas: Int, image: String = "web:1.0", surge: IntOrString = "25%", unavailable: IntOrString = "25%"
    ) -> Deployment {
        var deployment = Deployment()
        deployment.metadata.name = "web"
        deployment.metadata.namespace = "default"
        deployment.metadata.uid = "deployment-uid"
        deployment.metadata.generation = 1
        deployment.spec.replicas = replicas
        deployment.spec.selector = LabelSelector(matchLabels: ["app": "web"])
        deployment.spec.template = template(image: image)
        deployment.spec.strategy.type = "RollingUpdate"
        deployment.spec.strategy.rollingUpdate = RollingUpdateDeployment(
            maxUnavailable: unavailable, maxSurge: surge)
        deployment.spec.progressDeadlineSeconds = 600
        deployment.spec.revisionHistoryLimit = 10
        return deployment
    }

    static func template(image: String) -> PodTemplateSpec {
        var template = PodTemplateSpec()
        template.metadata.labels = ["app": "web"]
        template.spec.containers = [Container(name: "web", image: image)]
        return template
    }

    static func replicaSet(
        of deployment: Deployment, image: String, revision: Int, size: Int, available: Int? = nil,
        age: Int = 0,
        sizedFor: Int? = nil
    ) -> ReplicaSet {
        var set = ReplicaSet()
        let hash = template(image: image).hash(collisions: nil)
        set.metadata.name = "web-\(hash)"
        set.metadata.namespace = "default"
        set.metadata.uid = "set-\(image)"
        set.metadata.creationTimestamp = Time(seconds: now.seconds - age)
        set.metadata.ownerReferences = [deployment.asController]
        let desired = sizedFor ?? deployment.spec.replicas ?? 1
        var copy = deployment
        copy.spec.replicas = desired
        set.metadata.annotations = [
            "deployment.kubernetes.io/revision": "\(revision)",
            "deployment.kubernetes.io/desired-replicas": "\(desired)",
            "deployment.kubernetes.io/max-replicas": "\(desired + RolloutBounds(of: copy).maxSurge)",
        ]
        set.spec.replicas = size
        set.spec.template = template(image: image)
        set.spec.template.metadata.labels["pod-template-hash"] = hash
        set.status.replicas = size
        set.status.readyReplicas = available ?? size
        set.status.availableReplicas = available ?? size
        return set
    }

    static func pod(
        _ name: String, ip: String = "10.244.0.2", ready: Bool = true, node: String = "node1",
        labels: [String: String] = ["app": "web"]
    ) -> Pod {
        var pod = Pod()
        pod.metadata.name = name
        pod.metadata.namespace = "default"
        pod.metadata.uid = "uid-\(name)"
        pod.metadata.labels = labels
        pod.metadata.creationTimestamp = Time(seconds: now.seconds - 100)
        pod.spec.nodeName = node
        pod.spec.containers = [Container(name: "web", image: "web:1.0")]
        pod.status.phase = "Running"
        pod.status.podIP = ip
        pod.status.podIPs = [PodIP(ip: ip)]
        pod.status.conditions = [
            PodCondition(
                type: "Ready", status: ready ? "True" : "False",
                lastTransitionTime: Time(seconds: now.seconds - 50))
        ]
        return pod
    }

    static func service(port: Int = 80, target: IntOrString = 3000) -> Service {
        var service = Service()
        service.metadata.name = "web"
        service.metadata.namespace = "default"
        service.metadata.uid = "service-uid"
        service.spec.selector = ["app": "web"]
        service.spec.clusterIP = "10.96.0.20"
        service.spec.ipFamilies = ["IPv4"]
        service.spec.ports = [ServicePort(protocol: "TCP", port: port, targetPort: target)]
        return service
    }
}
