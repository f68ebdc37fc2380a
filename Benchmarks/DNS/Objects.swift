/// The objects of the cluster that is asked.
enum Objects {
    static func name(_ number: Int) -> String { "svc-\(number).bench.svc.cluster.local" }

    /// Every tenth is headless, the first one too.
    static func service(_ number: Int) -> [UInt8] {
        let address = number.isMultiple(of: 10) ? #""clusterIP":"None","# : ""
        return Array(
            """
            {"kind":"Service","apiVersion":"v1","metadata":{"name":"svc-\(number)","namespace":"bench"},\
            "spec":{\(address)"ports":[{"name":"http","port":80,"targetPort":3000}]}}
            """.utf8)
    }

    /// Addresses of the Service range's neighbours; nobody is there.
    static func slice(_ number: Int, endpoints: Int) -> [UInt8] {
        let list = (0..<endpoints).map { index in
            let address = number * endpoints + index
            return """
                {"addresses":["10.\(128 + address / 62500).\(address / 250 % 250).\(address % 250 + 1)"],\
                "conditions":{"ready":true,"serving":true,"terminating":false},"nodeName":"node-\(index)",\
                "targetRef":{"kind":"Pod","namespace":"bench","name":"svc-\(number)-7d4b9c6f5-\(index)",\
                "uid":"6d1f8a5c-4f0e-4a57-9d0b-3c0b7b1d2e3f"}}
                """
        }
        return Array(
            """
            {"kind":"EndpointSlice","apiVersion":"discovery.k8s.io/v1","metadata":{"name":"svc-\(number)",\
            "namespace":"bench","labels":{"kubernetes.io/service-name":"svc-\(number)"}},\
            "addressType":"IPv4","ports":[{"name":"http","port":3000,"protocol":"TCP"}],\
            "endpoints":[\(list.joined(separator: ","))]}
            """.utf8)
    }
}
