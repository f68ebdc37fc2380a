import KubernetesAPI
import Synchronization

/// Who has which Service address and node port. Kept in memory and rebuilt from the stored Services at
/// start, so there is nothing that could disagree with them; two creations at the same time are told
/// apart by the lock.
package final class ServiceAddresses: Sendable {
    /// The Service range, such as 10.96.0.0/16.
    package let range: IPv4Range
    /// The node port range, 30000 to 32767 unless configured.
    package let nodePorts: ClosedRange<Int>

    private struct State {
        var addresses: NumberPool
        var ports: NumberPool
    }
    private let state: Mutex<State>

    package init(range: IPv4Range, nodePorts: ClosedRange<Int> = 30000...32767) {
        self.range = range
        self.nodePorts = nodePorts
        // The network's own and the broadcast address are never given out.
        let offsets: ClosedRange<UInt32> = 1...(range.size - 2)
        let band = min(max(16, range.size / 16), 256)
        let ports = UInt32(nodePorts.lowerBound)...UInt32(nodePorts.upperBound)
        let portBand = min(max(16, UInt32(nodePorts.count) / 32), 128)
        state = Mutex(
            State(
                addresses: NumberPool(range: offsets, dynamicStart: band),
                ports: NumberPool(range: ports, dynamicStart: ports.lowerBound + portBand)))
    }

    /// The first address of the range: where the API server answers as `kubernetes.default`.
    package var first: IPv4Address { range.address(at: 1) }

    /// Takes what a stored Service has, without questions.
    package func adopt(_ service: Service) {
        state.withLock { state in
            for offset in offsets(of: service) { _ = state.addresses.take(offset) }
            for port in ports(of: service) { _ = state.ports.take(port) }
        }
    }

    /// Gives back what a Service has that is gone.
    package func release(_ service: Service) {
        state.withLock { state in
            for offset in offsets(of: service) { state.addresses.release(offset) }
            for port in ports(of: service) { state.ports.release(port) }
        }
    }

    /// Gives a Service its addresses and ports.
    ///
    /// - Parameters:
    ///   - service: normalised; receives what was allocated.
    ///   - old: the state before an update, whose values it keeps.
    ///   - isDryRun: find out what would be given, take nothing.
    /// - Throws: `invalid` with upstream's words when a wish cannot be fulfilled.
    package func allocate(
        _ service: inout Service, old: Service?, isDryRun: Bool
    ) throws(APIError) -> Reservation {
        var changed = service
        let outcome: Result<Taken, APIError> = state.withLock { state in
            var draft = state
            do throws(APIError) {
                let taken = try take(&changed, old: old, &draft)
                if !isDryRun { state = draft }
                return .success(taken)
            } catch {
                return .failure(error)
            }
        }
        let taken = try outcome.get()
        service = changed
        if isDryRun { return .none }
        let kept = changed
        return Reservation(
            confirm: {
                guard let old else { return }
                self.releaseWhatIsLeft(of: old, by: kept)
            },
            cancel: {
                self.state.withLock { state in
                    for offset in taken.offsets { state.addresses.release(offset) }
                    for port in taken.ports { state.ports.release(port) }
                }
            })
    }

    private struct Taken {
        var offsets: [UInt32] = []
        var ports: [UInt32] = []
    }

    private func releaseWhatIsLeft(of old: Service, by new: Service) {
        let offsets = Set(offsets(of: old)).subtracting(offsets(of: new))
        let ports = Set(ports(of: old)).subtracting(ports(of: new))
        state.withLock { state in
            for offset in offsets { state.addresses.release(offset) }
            for port in ports { state.ports.release(port) }
        }
    }

    private func take(_ service: inout Service, old: Service?, _ state: inout State) throws(APIError) -> Taken
    {
        let errors = ServiceNormalization.familyErrors(service)
        if !errors.isEmpty { throw .invalid(service, errors) }
        var taken = Taken()
        try takeAddresses(&service, old: old, &state, &taken)
        try takePorts(&service, old: old, &state, &taken)
        return taken
    }

    private func takeAddresses(
        _ service: inout Service, old: Service?, _ state: inout State, _ taken: inout Taken
    ) throws(APIError) {
        guard ServiceNormalization.needsClusterIP(service), !ServiceNormalization.isHeadless(service) else {
            return
        }
        if service.spec.clusterIPs.isEmpty {
            var generator = SystemRandomNumberGenerator()
            guard let offset = state.addresses.free(using: &generator) else {
                throw .internalError("failed to allocate a serviceIP: range is full")
            }
            _ = state.addresses.take(offset)
            taken.offsets.append(offset)
            let address = "\(range.address(at: offset))"
            service.spec.clusterIP = address
            service.spec.clusterIPs = [address]
            return
        }
        let held = old.map { Set($0.spec.clusterIPs) } ?? []
        for text in service.spec.clusterIPs where !held.contains(text) {
            func refuse(_ why: String) -> APIError {
                .invalid(
                    service,
                    [
                        .invalid(
                            "spec.clusterIPs", list: service.spec.clusterIPs,
                            "failed to allocate IP \(text): \(why)")
                    ])
            }
            guard let address = IPv4Address(text), range.contains(address) else {
                throw refuse("the provided network does not match the current range")
            }
            let offset = address.bits - range.base.bits
            guard state.addresses.range.contains(offset) else {
                throw refuse("the provided network does not match the current range")
            }
            guard state.addresses.take(offset) else { throw refuse("provided IP is already allocated") }
            taken.offsets.append(offset)
        }
        service.spec.clusterIP = service.spec.clusterIPs.first ?? ""
    }

    private func takePorts(
        _ service: inout Service, old: Service?, _ state: inout State, _ taken: inout Taken
    ) throws(APIError) {
        let held = Set(old.map { ports(of: $0) } ?? [])
        var mine: [UInt32: Set<String>] = [:]
        if ServiceNormalization.needsNodePort(service) {
            // Wishes first, so that nothing drawn at random takes what is asked for by number.
            for index in service.spec.ports.indices where service.spec.ports[index].nodePort != 0 {
                let port = service.spec.ports[index]
                try takePort(
                    port.nodePort, field: "spec.ports[\(index)].nodePort", protocolName: port.`protocol`,
                    service, held: held, &mine, &state, &taken)
            }
            for index in service.spec.ports.indices where service.spec.ports[index].nodePort == 0 {
                let port = service.spec.ports[index]
                // The same number serves another protocol of the same port (DNS over UDP and TCP).
                let sibling = service.spec.ports.first {
                    $0.port == port.port && $0.`protocol` != port.`protocol` && $0.nodePort != 0
                }
                if let sibling, mine[UInt32(clamping: sibling.nodePort)]?.contains(port.`protocol`) == false {
                    service.spec.ports[index].nodePort = sibling.nodePort
                    mine[UInt32(clamping: sibling.nodePort), default: []].insert(port.`protocol`)
                    continue
                }
                let number = try drawPort(&state, &taken)
                mine[number, default: []].insert(port.`protocol`)
                service.spec.ports[index].nodePort = Int(number)
            }
        }
        if ServiceNormalization.needsHealthCheckPort(service) {
            if service.spec.healthCheckNodePort == 0 {
                service.spec.healthCheckNodePort = Int(try drawPort(&state, &taken))
            } else {
                try takePort(
                    service.spec.healthCheckNodePort, field: "spec.healthCheckNodePort",
                    protocolName: "health", service, held: held, &mine, &state, &taken)
            }
        }
    }

    private func takePort(
        _ number: Int, field: String, protocolName: String, _ service: Service, held: Set<UInt32>,
        _ mine: inout [UInt32: Set<String>], _ state: inout State, _ taken: inout Taken
    ) throws(APIError) {
        func refuse(_ why: String) -> APIError {
            .invalid(
                service, [FieldError(.invalid, field, badValue: .integer(Int64(number)), detail: why)])
        }
        guard nodePorts.contains(number) else {
            throw refuse(
                "provided port is not in the valid range. The range of valid ports is "
                    + "\(nodePorts.lowerBound)-\(nodePorts.upperBound)")
        }
        let port = UInt32(number)
        let protocols = mine[port]
        if let protocols {
            guard !protocols.contains(protocolName) else {
                throw refuse("provided port is already allocated")
            }
        } else if !held.contains(port) {
            guard state.ports.take(port) else { throw refuse("provided port is already allocated") }
            taken.ports.append(port)
        }
        mine[port, default: []].insert(protocolName)
    }

    private func drawPort(_ state: inout State, _ taken: inout Taken) throws(APIError) -> UInt32 {
        var generator = SystemRandomNumberGenerator()
        guard let port = state.ports.free(using: &generator) else {
            throw .internalError("failed to allocate a nodePort: range is full")
        }
        _ = state.ports.take(port)
        taken.ports.append(port)
        return port
    }

    private func offsets(of service: Service) -> [UInt32] {
        guard ServiceNormalization.needsClusterIP(service) else { return [] }
        return service.spec.clusterIPs.compactMap { text in
            guard let address = IPv4Address(text), range.contains(address) else { return nil }
            return address.bits - range.base.bits
        }
    }

    private func ports(of service: Service) -> [UInt32] {
        let numbers = service.spec.ports.map(\.nodePort) + [service.spec.healthCheckNodePort]
        return numbers.filter { nodePorts.contains($0) }.map { UInt32($0) }
    }
}
