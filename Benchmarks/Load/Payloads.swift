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

    /// A pod as a ReplicaSet makes it; together with its status some 2.7 kB as it is served, managed fields and all.
    public static func pod(_ number: Int, namespace: String) -> [UInt8] {
        Array(
            """
            {"kind":"Pod","apiVersion":"v1","metadata":{"name":"\(podName(number))","generateName":"web-9fc97f4d7-",\
            "namespace":"\(namespace)","labels":{"app":"web","pod-template-hash":"9fc97f4d7"}},\
            "spec":{"nodeName":"node-\(number % 50)","automountServiceAccountToken":false,\
            "containers":[{"name":"web","image":"web:1.0","ports":[{"containerPort":3000}]}]}}
            """.utf8)
    }

    /// What a node agent says of it once it runs; a patch of `status`.
    public static func podStatus(_ number: Int) -> [UInt8] {
        let address = "10.244.\(number / 250 % 250).\(number % 250 + 2)"
        return Array(
            """
            {"status":{"phase":"Running","hostIP":"192.0.2.\(number % 50)","podIP":"\(address)",\
            "podIPs":[{"ip":"\(address)"}],"startTime":"2026-01-02T03:04:00Z","conditions":[{"type":"Ready",\
            "status":"True","lastTransitionTime":"2026-01-02T03:04:05Z"}]}}
            """.utf8)
    }

    public static func podName(_ number: Int) -> String {
        let digits = String(number)
        return "web-9fc97f4d7-" + String(repeating: "0", count: max(0, 5 - digits.count)) + digits
    }
}
