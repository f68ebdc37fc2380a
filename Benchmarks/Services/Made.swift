import Netlink
import ServiceProxy

/// Services and slices as facts, numbered.
enum Made {
    static let serviceRange = IPNetwork(IPAddress(ipv4: 0x0A60_0000), prefixLength: 16)

    static var configuration: ProxyConfiguration {
        ProxyConfiguration(
            nodeName: "node", nodeAddress: Lab.nodeAddress, serviceRanges: [serviceRange].compactMap { $0 },
            podRanges: [IPNetwork("10.0.0.0/9")].compactMap { $0 })
    }

    /// The address of the Service of this number.
    static func address(_ number: Int) -> IPAddress { IPAddress(ipv4: 0x0A60_0100 + UInt32(number)) }

    static func service(_ number: Int) -> ServiceFacts {
        var facts = ServiceFacts(ObjectName("default", "service-\(number)"))
        facts.clusterAddresses = [address(number)]
        // The one that is asked answers datagrams as well.
        facts.ports = [.init("tcp", .tcp, 80)] + (number == 0 ? [.init("udp", .udp, 80)] : [])
        return facts
    }

    static func slice(_ number: Int, _ endpoints: [IPAddress]) -> SliceFacts {
        var facts = SliceFacts(
            ObjectName("default", "service-\(number)-1"), of: ObjectName("default", "service-\(number)"))
        facts.ports = [.init("tcp", .tcp, Lab.port)] + (number == 0 ? [.init("udp", .udp, Lab.port)] : [])
        facts.endpoints = endpoints.map { .init($0) }
        return facts
    }

    /// Endpoints that nobody has, `count` of them for each Service.
    static func endpoints(_ number: Int, _ count: Int, shift: Int = 0) -> [IPAddress] {
        (0..<count).map { IPAddress(ipv4: 0x0A00_0000 + UInt32((number * 64 + $0 + shift) % 0x3F_0000)) }
    }

    /// Services with these numbers and made-up endpoints.
    static func batch(_ numbers: Range<Int>, endpoints count: Int) -> ProxyQueue.Batch {
        var batch = ProxyQueue.Batch()
        for number in numbers {
            let (service, slice) = (service(number), slice(number, endpoints(number, count)))
            batch.services[service.name] = .some(service)
            batch.slices[slice.name] = .some(slice)
        }
        return batch
    }
}
