/// Objects as clients send them.
public enum Payloads {
    /// A ConfigMap that holds 1 KiB, minus what `value` is longer than its key.
    public static func configMap(_ name: String, namespace: String, value: String = "") -> [UInt8] {
        let filler = String(repeating: "0123456789abcdef", count: 64).prefix(max(0, 1024 - value.utf8.count))
        return Array(
            (#"{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":""# + name
                + #"","namespace":""# + namespace + #""},"data":{"content":""# + filler + value + #""}}"#)
                .utf8)
    }

    public static func namespace(_ name: String) -> [UInt8] {
        Array(#"{"kind":"Namespace","apiVersion":"v1","metadata":{"name":"\#(name)"}}"#.utf8)
    }

    /// Without controllers nobody else makes the account that pods need.
    public static func serviceAccount(_ name: String, namespace: String) -> [UInt8] {
        Array(
            #"{"kind":"ServiceAccount","apiVersion":"v1","metadata":{"name":"\#(name)","namespace":"\#(namespace)"}}"#
                .utf8)
    }

    /// A pod as a ReplicaSet makes it.
    public static func pod(_ number: Int, namespace: String) -> [UInt8] {
        Array(
            """
            {"kind":"Pod","apiVersion":"v1","metadata":{"name":"\(podName(number))","generateName":"web-9fc97f4d7-",\
            "namespace":"\(namespace)","labels":{"app":"web","pod-template-hash":"9fc97f4d7","tier":"frontend"},\
            "annotations":{"prometheus.io/scrape":"true","prometheus.io/port":"9090"},\
            "ownerReferences":[{"apiVersion":"apps/v1","kind":"ReplicaSet","name":"web-9fc97f4d7",\
            "uid":"6d1f8a5c-4f0e-4a57-9d0b-3c0b7b1d2e3f","controller":true,"blockOwnerDeletion":true}]},\
            "spec":{"nodeName":"node-\(number % 50)","serviceAccountName":"default",\
            "volumes":[{"name":"config","configMap":{"name":"web-config"}}],\
            "containers":[{"name":"web","image":"registry.example.com/shop/web:1.4.2","ports":[\
            {"name":"http","containerPort":3000},{"name":"metrics","containerPort":9090}],\
            "env":[{"name":"PORT","value":"3000"},{"name":"POD_NAME","valueFrom":{"fieldRef":\
            {"apiVersion":"v1","fieldPath":"metadata.name"}}},{"name":"DATABASE_URL","valueFrom":\
            {"secretKeyRef":{"name":"web-secrets","key":"database-url"}}}],\
            "resources":{"limits":{"cpu":"500m","memory":"256Mi"},"requests":{"cpu":"100m","memory":"128Mi"}},\
            "volumeMounts":[{"name":"config","mountPath":"/etc/web","readOnly":true}],\
            "readinessProbe":{"httpGet":{"path":"/ready","port":"http"},"periodSeconds":5},\
            "livenessProbe":{"httpGet":{"path":"/live","port":"http"},"initialDelaySeconds":10},\
            "imagePullPolicy":"IfNotPresent"}],"restartPolicy":"Always",\
            "terminationGracePeriodSeconds":30,"dnsPolicy":"ClusterFirst"}}
            """.utf8)
    }

    /// What a node agent says of it once it runs; a patch of `status`.
    public static func podStatus(_ number: Int) -> [UInt8] {
        let address = "10.244.\(number / 250 % 250).\(number % 250 + 2)"
        let conditions = [
            "PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled",
        ]
        .map {
            #"{"type":"\#($0)","status":"True","lastProbeTime":null,"lastTransitionTime":"2026-01-02T03:04:05Z"}"#
        }
        return Array(
            """
            {"status":{"phase":"Running","hostIP":"192.0.2.\(number % 50)","hostIPs":[{"ip":"192.0.2.\(number % 50)"}],\
            "podIP":"\(address)","podIPs":[{"ip":"\(address)"}],"startTime":"2026-01-02T03:04:00Z",\
            "conditions":[\(conditions.joined(separator: ","))],"containerStatuses":[{"name":"web",\
            "state":{"running":{"startedAt":"2026-01-02T03:04:04Z"}},"ready":true,"restartCount":0,"started":true,\
            "image":"registry.example.com/shop/web:1.4.2","imageID":"registry.example.com/shop/web@sha256:\
            7a9e4f6f2d0b1c8e5a3d2f1b0c9e8d7f6a5b4c3d2e1f0a9b8c7d6e5f4a3b2c1d","containerID":"containerd://\
            1b2c3d4e5f6a7b8c9d0e1f2a3b4c5d6e7f8a9b0c1d2e3f4a5b6c7d8e9f0a1b2c"}]}}
            """.utf8)
    }

    public static func podName(_ number: Int) -> String {
        let digits = String(number)
        return "web-9fc97f4d7-" + String(repeating: "0", count: max(0, 5 - digits.count)) + digits
    }
}
