import KubernetesAPI

/// What is wrong between Services and their IPAddress objects, and what is to be done about it.
///
/// In the normal course of things there is nothing: both are committed together. But people delete and write
/// IPAddress objects by hand, stores are restored from copies, and older servers knew no IPAddresses.
package struct AddressRepair {
    /// Something that is wrong.
    package struct Finding: Sendable, Hashable {
        /// What it is about: a Service, or an IPAddress.
        package var subject: ObjectReference
        /// As upstream's repair controller has it.
        package var reason: String
        package var action: String
        package var message: String
        /// Who says it, as upstream.
        package var component = "ipallocator-repair-controller"
        /// An object that says something wrong.
        package var delete: IPAddress?
        /// An object that is missing.
        package var create: IPAddress?
    }

    /// What there is.
    package struct Surroundings {
        package var address: (_ name: String) -> IPAddress?
        package var service: (ParentReference) -> Service?
        /// All ServiceCIDRs' ranges, also of those that are not ready.
        package var ranges: [NetworkRange]
        package var nodePorts: ClosedRange<Int>
        /// The Services that have a node port, if they are several; the eldest first.
        package var sharing: (_ port: Int) -> [Service]
        package var now: Time

        package init(
            address: @escaping (_ name: String) -> IPAddress?,
            service: @escaping (ParentReference) -> Service?, ranges: [NetworkRange],
            nodePorts: ClosedRange<Int> = 30000...32767,
            sharing: @escaping (_ port: Int) -> [Service] = { _ in [] }, now: Time
        ) {
            self.address = address
            self.service = service
            self.ranges = ranges
            self.nodePorts = nodePorts
            self.sharing = sharing
            self.now = now
        }
    }

    package private(set) var findings: [Finding] = []
    /// In how many seconds to look again, if nothing happens before.
    package private(set) var lookAgainAfter: Int?

    /// How long an IPAddress may be there before its Service: upstream's API servers write it first.
    static let grace = 60

    private let around: Surroundings
    /// The missing objects found so far.
    private var created: Set<String> = []

    package init(_ around: Surroundings) { self.around = around }

    /// Looks whether a Service's addresses are noted as its own, and its node ports nobody else's.
    package mutating func check(_ service: Service) {
        for address in AddressBook.addresses(of: service) { check(service, address) }
        for port in Set(AddressBook.ports(of: service)).sorted() { check(service, port: port) }
    }

    /// There is nothing to be repaired about ports: the Services themselves say who has them.
    private mutating func check(_ service: Service, port: Int) {
        func find(_ reason: String, _ message: String) {
            findings.append(
                Finding(
                    subject: .init(service), reason: reason, action: "PortAllocation",
                    message: message + "; please recreate service",
                    component: "portallocator-repair-controller"))
        }
        let range = around.nodePorts
        if !range.contains(port) {
            find(
                "PortOutOfRange",
                "Port \(port) is not within the port range \(range.lowerBound)-\(range.upperBound)")
        } else if let first = around.sharing(port).first,
            first.metadata.namespace != service.metadata.namespace
                || first.metadata.name != service.metadata.name
        {
            find(
                "PortAlreadyAllocated",
                "Port \(port) was assigned to multiple services, and "
                    + "\(first.metadata.namespace)/\(first.metadata.name) had it first")
        }
    }

    private mutating func check(_ service: Service, _ address: NetworkAddress) {
        let what = "[\(address.family)]: \(address)"
        func warn(
            _ reason: String, _ message: String, delete: IPAddress? = nil, create: IPAddress? = nil
        ) -> Finding {
            Finding(
                subject: .init(service), reason: reason, action: "ClusterIPAllocation", message: message,
                delete: delete, create: create)
        }
        guard around.ranges.contains(where: { $0.contains(address) }) else {
            findings.append(
                warn(
                    "ClusterIPOutOfRange",
                    "Cluster IP \(what) is not within any configured Service CIDR; please recreate service"))
            return
        }
        let wanted = ServiceAddressObject.make(address, of: service)
        let object = around.address(address.description)
        let isCreated = created.contains(address.description)
        if let object, !isCreated {
            let parent = object.spec.parentRef ?? ParentReference()
            if parent == wanted.spec.parentRef {
                guard
                    object.metadata.labels[ServiceAddressObject.familyLabel] != address.family
                        || !ServiceAddressObject.isOurs(object)
                else { return }
            } else if let other = around.service(parent),
                AddressBook.addresses(of: other).contains(address)
            {
                findings.append(taken(service, address))
                return
            }
            findings.append(
                warn(
                    "ClusterIPNotAllocated",
                    "the ClusterIP \(what) for Service \(service.metadata.namespace)/"
                        + "\(service.metadata.name) has a wrong reference; repairing",
                    delete: object, create: wanted))
        } else if isCreated {
            findings.append(taken(service, address))
            return
        } else {
            findings.append(
                warn(
                    "ClusterIPNotAllocated", "Cluster IP \(what) is not allocated; repairing",
                    create: wanted))
        }
        created.insert(address.description)
    }

    private func taken(_ service: Service, _ address: NetworkAddress) -> Finding {
        Finding(
            subject: .init(service), reason: "ClusterIPAlreadyAllocated", action: "ClusterIPAllocation",
            message: "Cluster IP [\(address.family)]:\(address) was assigned to multiple services; "
                + "please recreate service")
    }

    /// Looks whether an address of this allocator belongs to a Service. Others keep theirs as they like.
    package mutating func check(_ object: IPAddress) {
        let name = object.metadata.name
        guard ServiceAddressObject.isOurs(object), !created.contains(name) else { return }
        let parent = object.spec.parentRef ?? ParentReference()
        func warn(_ reason: String, _ message: String) -> Finding {
            Finding(
                subject: .init(object), reason: reason, action: "IPAddressAllocation",
                message: message + "; cleaning up", delete: object)
        }
        let of = "IPAddress: \(name) for Service \(parent.namespace)/\(parent.name)"
        guard parent.group.isEmpty, parent.resource == "services" else {
            findings.append(
                warn(
                    "IPAddressNotAllocated",
                    "IPAddress \(name) appears to have been modified, not referencing a Service but "
                        + "\(parent.resource) \(parent.namespace)/\(parent.name)"))
            return
        }
        guard let service = around.service(parent) else {
            let age = around.now.seconds - (object.metadata.creationTimestamp?.seconds ?? 0)
            if age >= Self.grace {
                findings.append(warn("IPAddressNotAllocated", "\(of) appears to have leaked"))
            } else {
                lookAgainAfter = min(lookAgainAfter ?? Self.grace, Self.grace - age)
            }
            return
        }
        guard !AddressBook.addresses(of: service).contains(where: { $0.description == name }) else { return }
        findings.append(warn("IPAddressWrongReference", "\(of) has a wrong reference"))
    }
}

extension ObjectReference {
    /// Names an object, whatever its state.
    fileprivate init<Object: KubernetesObject>(_ object: Object) {
        self.init(
            kind: Object.resource.kind, namespace: object.metadata.namespace, name: object.metadata.name,
            uid: object.metadata.uid, apiVersion: Object.resource.apiVersion)
    }
}
