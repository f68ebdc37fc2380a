extension Pod {
    public func validateUpdate(from old: Pod) -> [FieldError] {
        var errors = metadata.validateUpdate(from: old.metadata)
        errors += validateMetadataAndSpec()
        errors += validateMirrorAnnotation(from: old)
        errors += AppArmorAnnotation.changes(
            "metadata.annotations", metadata.annotations, from: old.metadata.annotations)
        for (field, new, was) in [
            ("containers", spec.containers, old.spec.containers),
            ("initContainers", spec.initContainers, old.spec.initContainers),
        ] {
            let path = RulePath("spec").child(field)
            if new.count != was.count {
                errors.forbidden(path, "pod updates may not add or remove containers")
                return errors
            }
            for (index, container) in new.enumerated() {
                if container.image.isEmpty { errors.required(path.index(index).child("image")) }
                errors += ContainerRules.trimmedImage(path.index(index), container.image)
            }
        }
        guard validateDeadline(from: old, &errors) else { return errors }
        errors += validateTolerations(from: old)
        errors += validateGates(from: old)
        if spec == old.spec { return errors }
        return errors + validateFixedFields(from: old)
    }

    /// What is wrong with a change through `pods/ephemeralcontainers`: guests may come, and then stay as they are.
    package func validateEphemeralContainersUpdate(from old: Pod) -> [FieldError] {
        var errors = metadata.validateUpdate(from: old.metadata)
        errors += validateMetadataAndSpec()
        let path: RulePath = "spec.ephemeralContainers"
        for container in old.spec.ephemeralContainers {
            switch spec.ephemeralContainers.first(where: { $0.name == container.name }) {
            case nil:
                errors.forbidden(
                    path, "existing ephemeral containers \"\(container.name)\" may not be removed\n")
            case let new? where new != container:
                errors.forbidden(
                    path, "existing ephemeral containers \"\(container.name)\" may not be changed\n")
            default: break
            }
        }
        return errors
    }

    /// A static pod's mark may neither come nor go.
    private func validateMirrorAnnotation(from old: Pod) -> [FieldError] {
        let key = Pod.mirrorAnnotation
        let path = RulePath("metadata.annotations").key(key).text
        switch (old.metadata.annotations[key], metadata.annotations[key]) {
        case (nil, .some): return [.forbidden(path, "may not add mirror pod annotation")]
        case (let old?, let new) where new != old:
            return [.forbidden(path, "may not remove or update mirror pod annotation")]
        default: return []
        }
    }

    /// The deadline may be set, and brought forward. False when nothing further should be looked at.
    private func validateDeadline(from old: Pod, _ errors: inout [FieldError]) -> Bool {
        let path: RulePath = "spec.activeDeadlineSeconds"
        guard let deadline = spec.activeDeadlineSeconds else {
            if old.spec.activeDeadlineSeconds != nil {
                errors.invalid(path, shown: "null", "must not update from a positive integer to nil value")
            }
            return true
        }
        if !(0...Int(Int32.max)).contains(deadline) {
            errors.requireRange(path, deadline, 0...Int(Int32.max))
            return false
        }
        if let before = old.spec.activeDeadlineSeconds, before < deadline {
            errors.invalid(path, deadline, "must be less than or equal to previous value")
            return false
        }
        return true
    }

    private func validateTolerations(from old: Pod) -> [FieldError] {
        for toleration in old.spec.tolerations {
            let isKept = spec.tolerations.contains { new in
                var same = toleration
                same.tolerationSeconds = new.tolerationSeconds
                return same == new
            }
            if !isKept {
                return [
                    .forbidden(
                        "spec.tolerations",
                        "existing toleration can not be modified except its tolerationSeconds")
                ]
            }
        }
        return PlacementRules.tolerations("spec.tolerations", spec.tolerations)
    }

    private func validateGates(from old: Pod) -> [FieldError] {
        let before = Set(old.spec.schedulingGates.map(\.name))
        var errors: [FieldError] = []
        for (index, gate) in spec.schedulingGates.enumerated() where !before.contains(gate.name) {
            errors.forbidden(
                RulePath("spec.schedulingGates").index(index).child("name"),
                "only deletion is allowed, but found new scheduling gate '\(gate.name)'")
        }
        return errors
    }

    /// What is not named as changeable must be the same.
    private func validateFixedFields(from old: Pod) -> [FieldError] {
        var errors: [FieldError] = []
        var same = spec
        for index in same.containers.indices {
            same.containers[index].image = old.spec.containers[index].image
        }
        for index in same.initContainers.indices {
            same.initContainers[index].image = old.spec.initContainers[index].image
        }
        same.activeDeadlineSeconds = old.spec.activeDeadlineSeconds
        same.schedulingGates = old.spec.schedulingGates
        same.tolerations = old.spec.tolerations
        if let before = old.spec.terminationGracePeriodSeconds, before < 0,
            spec.terminationGracePeriodSeconds == 1
        {
            same.terminationGracePeriodSeconds = before
        }
        // A pod that the scheduler may not place yet can still be told where it may run.
        if !old.spec.schedulingGates.isEmpty {
            let isExtended = old.spec.nodeSelector.allSatisfy { spec.nodeSelector[$0.key] == $0.value }
            if !isExtended {
                errors.invalid(
                    "spec.nodeSelector", shown: GoSyntax.map(spec.nodeSelector),
                    "only additions to spec.nodeSelector are allowed (no mutations or deletions)")
            }
            same.nodeSelector = old.spec.nodeSelector
            errors += validateNodeAffinity(from: old)
            if same.affinity == Affinity(nodeAffinity: same.affinity?.nodeAffinity), old.spec.affinity == nil
            {
                same.affinity = nil
            } else if same.affinity != nil {
                same.affinity?.nodeAffinity = old.spec.affinity?.nodeAffinity
            } else if let affinity = old.spec.affinity?.nodeAffinity {
                same.affinity = Affinity(nodeAffinity: affinity)
            }
        }
        if same != old.spec {
            errors.forbidden(
                "spec",
                "pod updates may not change fields other than `spec.containers[*].image`,"
                    + "`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only "
                    + "additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be "
                    + "set to 1 if it was previously negative)\n"
                    + SpecDifference.fields(old.spec.jsonValue, same.jsonValue).joined(separator: "\n"))
        }
        return errors
    }

    private func validateNodeAffinity(from old: Pod) -> [FieldError] {
        let before =
            old.spec.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution?.nodeSelectorTerms
            ?? []
        let now =
            spec.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution?.nodeSelectorTerms
            ?? []
        if before.isEmpty { return [] }
        let path: RulePath =
            "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms"
        if before.count != now.count {
            return [
                FieldError(
                    type: .invalid, field: path.text, badValue: .array(now.map(\.jsonValue)),
                    detail: "no additions/deletions to non-empty NodeSelectorTerms list are allowed")
            ]
        }
        return zip(before, now).enumerated().compactMap { index, pair in
            let (was, term) = pair
            let isEmpty = was.matchExpressions.isEmpty && was.matchFields.isEmpty
            let isExtended =
                term.matchExpressions.starts(with: was.matchExpressions)
                && term.matchFields.starts(with: was.matchFields)
            if isExtended, !isEmpty || term == was { return nil }
            return FieldError(
                type: .invalid, field: path.index(index).text, badValue: term.jsonValue,
                detail: "only additions are allowed (no mutations or deletions)")
        }
    }
}

// MARK: - Status

extension Pod {
    public func validateStatusUpdate(from old: Pod) -> [FieldError] {
        var errors = metadata.validateUpdate(from: old.metadata)
        if spec.nodeName != old.spec.nodeName {
            errors.forbidden("status.nodeName", "may not be changed directly")
        }
        if status.nominatedNodeName != old.status.nominatedNodeName, !status.nominatedNodeName.isEmpty {
            errors.require(NameRules.subdomain, "status.nominatedNodeName", status.nominatedNodeName)
        }
        if !old.status.qosClass.isEmpty {
            errors.requireUnchanged("status.qosClass", status.qosClass, old.status.qosClass)
        }
        let policy = old.spec.restartPolicy
        let sidecars = Set(old.spec.initContainers.filter { $0.restartPolicy == "Always" }.map(\.name))
        errors += Self.ended(
            "status.containerStatuses", status.containerStatuses, old.status.containerStatuses, policy)
        errors += Self.ended(
            "status.initContainerStatuses", status.initContainerStatuses,
            old.status.initContainerStatuses.filter { !sidecars.contains($0.name) }, policy)
        errors += Self.ended(
            "status.ephemeralContainerStatuses", status.ephemeralContainerStatuses,
            old.status.ephemeralContainerStatuses, "Never")
        for (index, address) in status.podIPs.enumerated() {
            errors += AddressRules.address(RulePath("status.podIPs").index(index), address.ip)
        }
        if let first = status.hostIPs.first, first.ip != status.hostIP {
            errors.invalid("status.hostIPs[0].ip", first.ip, "must be equal to `hostIP`")
        }
        for (index, address) in status.hostIPs.enumerated() {
            errors += AddressRules.address(RulePath("status.hostIPs").index(index), address.ip)
        }
        return errors
    }

    /// A container that ended for good may not be reported as running again.
    private static func ended(
        _ path: RulePath, _ new: [ContainerStatus], _ old: [ContainerStatus], _ policy: String
    ) -> [FieldError] {
        if policy == "Always" { return [] }
        var errors: [FieldError] = []
        for (index, before) in old.enumerated() {
            guard let end = before.state.terminated, end.exitCode == 0 || policy != "OnFailure" else {
                continue
            }
            if new.contains(where: { $0.name == before.name && $0.state.terminated == nil }) {
                errors.forbidden(
                    path.index(index).child("state"), "may not be transitioned to non-terminated state")
            }
        }
        return errors
    }
}
