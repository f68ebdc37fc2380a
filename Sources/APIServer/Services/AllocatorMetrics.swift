import Telemetry

/// How many addresses and node ports are given out, under upstream's names.
struct AllocatorMetrics: Sendable {
    /// How a number came to be given out: because it was asked for, or drawn.
    enum Scope: String {
        case asked = "static"
        case drawn = "dynamic"
    }

    private let addresses: MetricFamily<Counter>
    private let addressErrors: MetricFamily<Counter>
    private let ports: MetricFamily<Counter>
    private let portErrors: MetricFamily<Counter>

    /// - Parameter book: what is taken by now.
    init(
        _ registry: MetricRegistry, nodePorts: ClosedRange<Int>, book: @escaping @Sendable () -> AddressBook
    ) {
        let address = "kube_apiserver_clusterip_allocator_"
        addresses = registry.counter(
            address + "allocation_total", "Number of Cluster IPs allocations", labels: ["cidr", "scope"])
        addressErrors = registry.counter(
            address + "allocation_errors_total", "Number of errors trying to allocate Cluster IPs",
            labels: ["cidr", "scope"])
        let port = "kube_apiserver_nodeport_allocator_"
        ports = registry.counter(
            port + "allocation_total", "Number of NodePort allocations", labels: ["scope"])
        portErrors = registry.counter(
            port + "allocation_errors_total", "Number of errors trying to allocate NodePort",
            labels: ["scope"])
        func read(
            _ name: String, _ help: String, labels: [String] = [],
            _ values: @escaping @Sendable (AddressBook) -> [MetricRegistry.Sample]
        ) {
            registry.read(name, help, labels: labels) { values(book()) }
        }
        read(
            address + "allocated_ips", "Gauge measuring the number of allocated IPs for Services",
            labels: ["cidr"]
        ) { book in
            book.allRanges.map { .init(Double(book.countTaken(in: $0)), labels: [$0.description]) }
        }
        read(
            address + "available_ips", "Gauge measuring the number of available IPs for Services",
            labels: ["cidr"]
        ) { book in
            book.allRanges.map { range in
                let left = range.lastOffset - min(UInt64(book.countTaken(in: range)), range.lastOffset)
                return .init(Double(left), labels: [range.description])
            }
        }
        read(port + "allocated_ports", "Gauge measuring the number of allocated NodePorts for Services") {
            [.init(Double($0.countTaken(in: nodePorts)))]
        }
        read(port + "available_ports", "Gauge measuring the number of available NodePorts for Services") {
            [.init(Double(nodePorts.count - $0.countTaken(in: nodePorts)))]
        }
    }

    /// Counts what a request was given, or what it was not.
    func count(_ allocation: Allocation) {
        guard allocation.refusal == nil else { return countRefusal(allocation) }
        for address in allocation.addresses {
            let range = allocation.book.openRanges(of: address.family).first { $0.contains(address) }
            addresses[[range?.description ?? "", allocation.scope(of: address).rawValue]].increment()
        }
        for port in allocation.ports { ports(allocation.scope(of: port).rawValue).increment() }
    }

    private func countRefusal(_ allocation: Allocation) {
        switch allocation.refusal {
        case .addressesFull(let family):
            count(family, .drawn, allocation)
        case .addressTaken(let address), .addressOutOfRange(let address):
            count(address.family, .asked, allocation)
        case .portsFull: portErrors(Scope.drawn.rawValue).increment()
        case .portTaken, .portOutOfRange: portErrors(Scope.asked.rawValue).increment()
        case nil: break
        }
    }

    private func count(_ family: String, _ scope: Scope, _ allocation: Allocation) {
        let range = allocation.book.openRanges(of: family).first
        addressErrors[[range?.description ?? "", scope.rawValue]].increment()
    }
}
