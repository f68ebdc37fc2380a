import KubernetesAPI

/// What one request takes of the addresses and ports that are free. A value: nothing is taken before the caller
/// says so.
struct Allocation {
    let book: AddressBook
    /// What other requests have been given that are not committed yet.
    let pendingAddresses: Set<NetworkAddress>
    let pendingPorts: Set<Int>
    let nodePorts: ClosedRange<Int>
    /// What this one is given.
    private(set) var addresses: Set<NetworkAddress> = []
    private(set) var ports: Set<Int> = []
    /// What was asked for by number, whether it is given or not.
    private var askedAddresses: Set<NetworkAddress> = []
    private var askedPorts: Set<Int> = []
    /// Why this one is not given what it needs; nil when it is.
    private(set) var refusal: AllocationRefusal.Cause?

    init(
        book: AddressBook, pendingAddresses: Set<NetworkAddress>, pendingPorts: Set<Int>,
        nodePorts: ClosedRange<Int>
    ) {
        self.book = book
        self.pendingAddresses = pendingAddresses
        self.pendingPorts = pendingPorts
        self.nodePorts = nodePorts
    }

    func scope(of address: NetworkAddress) -> AllocatorMetrics.Scope {
        askedAddresses.contains(address) ? .asked : .drawn
    }

    func scope(of port: Int) -> AllocatorMetrics.Scope { askedPorts.contains(port) ? .asked : .drawn }

    // MARK: Addresses

    /// Gives the Service one address for each of its families, that which it asks for or any.
    mutating func takeAddresses(_ service: inout Service, old: Service?) throws(APIError) {
        guard ServiceNormalization.needsClusterIP(service), !ServiceNormalization.isHeadless(service) else {
            return
        }
        let held = Set(old.map { AddressBook.addresses(of: $0) } ?? [])
        while service.spec.clusterIPs.count < service.spec.ipFamilies.count {
            // A mark that upstream shows in its messages too.
            service.spec.clusterIPs.append("")
        }
        let wanted = service.spec.clusterIPs
        // Wishes first, so that nothing drawn at random takes what is asked for.
        for text in wanted where !text.isEmpty {
            guard let address = NetworkAddress(text), !held.contains(address) else { continue }
            if let refusal = take(address) {
                throw .invalid(
                    service,
                    [
                        .invalid(
                            "spec.clusterIPs", list: wanted, "failed to allocate IP \(text): \(refusal)")
                    ])
            }
        }
        for (index, family) in service.spec.ipFamilies.enumerated()
        where index < wanted.count && wanted[index].isEmpty {
            guard let address = draw(family) else {
                refusal = .addressesFull(family: family)
                throw .internalError("failed to allocate a serviceIP: range is full")
            }
            service.spec.clusterIPs[index] = address.description
        }
        service.spec.clusterIP = service.spec.clusterIPs.first ?? ""
    }

    /// Why the address cannot be had; nil when it was taken.
    private mutating func take(_ address: NetworkAddress) -> String? {
        askedAddresses.insert(address)
        guard book.openRanges(of: address.family).contains(where: { $0.contains(address) }) else {
            refusal = .addressOutOfRange(address)
            return "the provided network does not match the current range"
        }
        guard isFree(address) else {
            refusal = .addressTaken(address)
            return "provided IP is already allocated"
        }
        addresses.insert(address)
        return nil
    }

    private func isFree(_ address: NetworkAddress) -> Bool {
        !book.isTaken(address) && !pendingAddresses.contains(address) && !addresses.contains(address)
    }

    private mutating func draw(_ family: String) -> NetworkAddress? {
        let ranges = book.openRanges(of: family)
        var generator = SystemRandomNumberGenerator()
        var found: NetworkAddress?
        for range in ranges where found == nil {
            found = NumberBands(range).dart(using: &generator) { !isFree(range.address(at: $0)) }
                .map(range.address(at:))
        }
        for range in ranges where found == nil {
            found = NumberBands(range).search(using: &generator) { !isFree(range.address(at: $0)) }
                .map(range.address(at:))
        }
        if let found { addresses.insert(found) }
        return found
    }

    // MARK: Ports

    /// Gives the Service its node ports, and that of its health check.
    mutating func takePorts(_ service: inout Service, old: Service?) throws(APIError) {
        // What an update gives up is not free before the update is written, and still this Service's own.
        let held = Set(old.map { AddressBook.ports(of: $0) } ?? [])
        if ServiceNormalization.mayHaveNodePorts(service) {
            try takeNodePorts(&service, held: held, isNew: old == nil)
        }
        guard ServiceNormalization.needsHealthCheckPort(service) else { return }
        let wanted = service.spec.healthCheckNodePort
        if wanted == 0 {
            guard let port = drawPort() else {
                refusal = .portsFull
                throw .internalError("failed to allocate a HealthCheck NodePort 0: range is full")
            }
            service.spec.healthCheckNodePort = port
        } else if !held.contains(wanted), let refusal = take(port: wanted) {
            throw .internalError("failed to allocate requested HealthCheck NodePort \(wanted): \(refusal)")
        }
    }

    private mutating func takeNodePorts(
        _ service: inout Service, held: Set<Int>, isNew: Bool
    ) throws(APIError) {
        // Wishes first, so that nothing drawn at random takes what is asked for by number.
        for (index, port) in service.spec.ports.enumerated()
        where port.nodePort != 0 && !held.contains(port.nodePort) {
            // One number serves several protocols of one port (DNS over UDP and TCP).
            let isShared = service.spec.ports[..<index].contains {
                $0.nodePort == port.nodePort && (!isNew || $0.port == port.port)
            }
            guard !isShared, let refusal = take(port: port.nodePort) else { continue }
            throw .invalid(
                service,
                [.invalid("spec.ports[\(index)].nodePort", .integer(Int64(port.nodePort)), refusal)])
        }
        guard ServiceNormalization.needsNodePort(service) else { return }
        for index in service.spec.ports.indices where service.spec.ports[index].nodePort == 0 {
            let port = service.spec.ports[index]
            let sibling = service.spec.ports.first { $0.port == port.port && $0.nodePort != 0 }
            if isNew, let sibling {
                service.spec.ports[index].nodePort = sibling.nodePort
                continue
            }
            guard let number = drawPort() else {
                refusal = .portsFull
                throw .internalError("failed to allocate a nodePort: range is full")
            }
            service.spec.ports[index].nodePort = number
        }
    }

    /// Why the port cannot be had; nil when it was taken.
    private mutating func take(port: Int) -> String? {
        askedPorts.insert(port)
        guard nodePorts.contains(port) else {
            refusal = .portOutOfRange(port)
            return "provided port is not in the valid range. The range of valid ports is "
                + "\(nodePorts.lowerBound)-\(nodePorts.upperBound)"
        }
        guard isFree(port: port) else {
            refusal = .portTaken(port)
            return "provided port is already allocated"
        }
        ports.insert(port)
        return nil
    }

    private func isFree(port: Int) -> Bool {
        !book.isTaken(port: port) && !pendingPorts.contains(port) && !ports.contains(port)
    }

    private mutating func drawPort() -> Int? {
        let bands = NumberBands(nodePorts: nodePorts)
        var generator = SystemRandomNumberGenerator()
        var number = bands.dart(using: &generator) { !isFree(port: Int($0)) }
        if number == nil { number = bands.search(using: &generator) { !isFree(port: Int($0)) } }
        guard let number else { return nil }
        ports.insert(Int(number))
        return Int(number)
    }
}
