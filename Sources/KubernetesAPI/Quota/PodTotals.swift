extension PodSpec {
    /// What a pod asks for (or may use) as a whole: its containers run side by side, its init containers one
    /// after the other before them, its sidecars all the time (KEP-753).
    public func total(_ side: KeyPath<ResourceRequirements, [String: Quantity]>) -> [String: Quantity] {
        var running = containers.reduce(into: [String: Quantity]()) { $0.add($1.resources[keyPath: side]) }
        var sidecars: [String: Quantity] = [:]
        var starting: [String: Quantity] = [:]
        for container in initContainers {
            var amounts = container.resources[keyPath: side]
            if container.restartPolicy == "Always" {
                running.add(amounts)
                sidecars.add(amounts)
                amounts = sidecars
            } else {
                amounts.add(sidecars)
            }
            starting.merge(amounts) { max($0, $1) }
        }
        return running.merging(starting) { max($0, $1) }
    }

    /// The total with what running the pod costs beyond its containers.
    public func totalWithOverhead(
        _ side: KeyPath<ResourceRequirements, [String: Quantity]>
    ) -> [String: Quantity] {
        var amounts = total(side)
        for (name, cost) in overhead {
            // Without a limit there is nothing to raise.
            if side == \ResourceRequirements.limits, amounts[name] == nil { continue }
            amounts[name] = (amounts[name] ?? Quantity()) + cost
        }
        return amounts
    }
}

extension [String: Quantity] {
    /// Adds amounts by resource.
    public mutating func add(_ other: [String: Quantity]) {
        merge(other) { $0 + $1 }
    }

    /// Takes amounts away by resource; one that is not there counts as 0.
    public mutating func subtract(_ other: [String: Quantity]) {
        for (name, amount) in other { self[name] = (self[name] ?? Quantity()) - amount }
    }

    /// `cpu=2,memory=1Gi`, sorted: how messages show amounts.
    public var shown: String {
        sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }.joined(separator: ",")
    }
}
