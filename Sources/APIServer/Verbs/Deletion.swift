import KubernetesAPI
import KubernetesJSON

/// What happens to the dependants of a deleted object when the client does not say.
package enum DefaultPropagation: Sendable, Hashable {
    /// They are deleted once the object is gone.
    case background
    /// They are let go, as in upstream's oldest kinds.
    case orphan
    /// The kind owns nothing.
    case unsupported
}

/// The rules of deletion.
extension Preparation {
    /// What a deletion does to an object.
    package enum Deletion: Sendable, Hashable {
        /// The object goes at once.
        case remove
        /// The object stays, marked; `changed` is false when the mark was there already.
        case mark(changed: Bool)
    }

    /// Marks an object for deletion as far as its kind, its finalizers and the options ask for it.
    package static func delete<Object>(
        _ object: inout Object, _ options: DeleteOptions, _ resource: Resource<Object>, now: Time
    ) -> Deletion {
        let before = object.metadata
        var stays = false
        if let gracePeriod = resource.gracePeriod {
            if let deletion = before.deletionTimestamp {
                if let pending = before.deletionGracePeriodSeconds, pending > 0 {
                    // Under way already: a later request can only shorten the time.
                    guard let wish = options.gracePeriodSeconds.map({ $0 < 0 ? 1 : $0 }), wish < pending
                    else {
                        return .mark(changed: false)
                    }
                    stays = shorten(&object.metadata, from: deletion, pending, to: wish, now: now)
                }
            } else {
                let seconds = gracePeriod(object, options.gracePeriodSeconds)
                if seconds > 0 {
                    object.metadata.deletionTimestamp = Time(seconds: now.seconds + seconds)
                    object.metadata.deletionGracePeriodSeconds = seconds
                    if object.metadata.generation > 0 { object.metadata.generation += 1 }
                    stays = true
                }
            }
        }
        setPropagation(&object.metadata, options, resource.defaultPropagation)
        if stays { return .mark(changed: object.metadata != before) }
        guard !object.metadata.finalizers.isEmpty else { return .remove }
        if before.deletionTimestamp == nil, object.metadata.generation > 0 { object.metadata.generation += 1 }
        if let deletion = object.metadata.deletionTimestamp, deletion.seconds <= now.seconds {
            // It should have been gone by now.
        } else {
            object.metadata.deletionTimestamp = now
        }
        object.metadata.deletionGracePeriodSeconds = 0
        return .mark(changed: object.metadata != before)
    }

    /// - Returns: whether there is time left.
    private static func shorten(
        _ metadata: inout ObjectMeta, from deletion: Time, _ pending: Int, to wish: Int, now: Time
    ) -> Bool {
        var seconds = wish
        var end = Time(seconds: deletion.seconds - pending + wish)
        if end.seconds < now.seconds {
            end = now
            // Whoever is to end the object must still see that it ends.
            if wish != 0 { seconds = 1 }
        }
        metadata.deletionTimestamp = end
        metadata.deletionGracePeriodSeconds = seconds
        return seconds > 0
    }

    /// The garbage collector reads the policy from finalizers (DeleteOptions.propagationPolicy).
    private static func setPropagation(
        _ metadata: inout ObjectMeta, _ options: DeleteOptions, _ standard: DefaultPropagation
    ) {
        let known = metadata.finalizers.first { $0 == "orphan" || $0 == "foregroundDeletion" }
        var finalizer: String?
        switch (standard, options.orphanDependents, options.propagationPolicy) {
        case (.unsupported, _, _): finalizer = nil
        case (_, let orphan?, _): finalizer = orphan ? "orphan" : nil
        case (_, nil, "Orphan"?): finalizer = "orphan"
        case (_, nil, "Foreground"?): finalizer = "foregroundDeletion"
        case (_, nil, _?): finalizer = nil
        case (_, nil, nil): finalizer = known ?? (standard == .orphan ? "orphan" : nil)
        }
        if finalizer == known { return }
        metadata.finalizers.removeAll { $0 == "orphan" || $0 == "foregroundDeletion" }
        if let finalizer { metadata.finalizers.append(finalizer) }
    }

    /// Failures of the options themselves.
    package static func errors(of options: DeleteOptions) -> [FieldError] {
        var errors: [FieldError] = []
        if options.propagationPolicy != nil, options.orphanDependents != nil {
            errors.append(
                FieldError(
                    .invalid, "propagationPolicy", badValue: .string(options.propagationPolicy ?? ""),
                    detail: "orphanDependents and deletionPropagation cannot be both set"))
        }
        if let policy = options.propagationPolicy, !["Foreground", "Background", "Orphan"].contains(policy) {
            errors.append(
                FieldError(
                    .notSupported, "propagationPolicy", badValue: .string(policy),
                    detail: #"supported values: "Foreground", "Background", "Orphan", "nil""#))
        }
        _ = DryRun.read(options.dryRun, &errors)
        return errors
    }

    /// Whether the object is the one that the client means.
    package static func check<Object: KubernetesObject>(
        _ preconditions: Preconditions?, _ object: Object
    ) throws(APIError) {
        guard let preconditions else { return }
        func refuse(_ why: String) -> APIError {
            var kind = Object.resource
            // Upstream names the kind here, not the resource.
            kind.plural = kind.kind
            return .conflict(kind, object.metadata.name, why)
        }
        if let uid = preconditions.uid, uid != object.metadata.uid {
            throw refuse(
                "the UID in the precondition (\(uid)) does not match the UID in record "
                    + "(\(object.metadata.uid)). The object might have been deleted and then recreated")
        }
        if let version = preconditions.resourceVersion, version != object.metadata.resourceVersion {
            throw refuse(
                "the ResourceVersion in the precondition (\(version)) does not match the ResourceVersion "
                    + "in record (\(object.metadata.resourceVersion)). The object might have been modified")
        }
    }
}
