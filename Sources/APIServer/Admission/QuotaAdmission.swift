import KubernetesAPI
import ObjectStore

/// The ResourceQuota admission of upstream: nobody makes a namespace use more than its quotas allow.
///
/// The check here refuses what is plainly too much. What counts is `ResourceVerbs.commit(_:new:old:)`, which
/// writes the object and the usage in one transaction, so that usage is right at every revision.
package struct QuotaAdmission: AdmissionPlugin {
    package init() {}

    package func validate<Object: KubernetesObject>(
        _ object: Object?, old: Object?, _ request: AdmissionRequest, _ lookup: any AdmissionLookup
    ) throws(APIError) -> [String] {
        guard request.kind.isNamespaced, Self.enforces(object, old: old, subresource: request.subresource)
        else { return [] }
        _ = try Self.booking(
            new: object, old: old, namespace: request.namespace, enforces: true, now: request.now, lookup)
        return []
    }

    /// Whether ceilings hold for a change: for what is new, and for the kinds that can ask for more later.
    static func enforces<Object: KubernetesObject>(
        _ object: Object?, old: Object?, subresource: String
    ) -> Bool {
        guard let object, subresource.isEmpty else { return false }
        return old == nil || object is Service || object is PersistentVolumeClaim
    }

    /// The quotas whose status a change alters, with their new status.
    static func booking<Object: KubernetesObject>(
        new: Object?, old: Object?, namespace: String, enforces: Bool, now: Time,
        _ lookup: any AdmissionLookup
    ) throws(APIError) -> [ResourceQuota] {
        guard let subject = new ?? old else { return [] }
        var quotas = lookup.objects(ResourceQuota.self, namespace: namespace)
        if subject is ResourceQuota {
            // A change of a quota is not booked on itself: it is being written already.
            quotas.removeAll { $0.metadata.name == subject.metadata.name }
        }
        for index in quotas.indices where !quotas[index].isCounted {
            recount(&quotas[index], namespace: namespace, now: now, lookup)
        }
        do {
            return try QuotaLedger(quotas, now: now).booking(new: new, old: old, enforces: enforces)
        } catch {
            throw .forbidden(Object.resource, subject.metadata.displayName, error.message)
        }
    }

    /// A quota that the quota controller has not come to yet is counted on the spot.
    private static func recount(
        _ quota: inout ResourceQuota, namespace: String, now: Time, _ lookup: any AdmissionLookup
    ) {
        let contents = QuotaContents(
            pods: lookup.objects(Pod.self, namespace: namespace),
            services: lookup.objects(Service.self, namespace: namespace),
            claims: lookup.objects(PersistentVolumeClaim.self, namespace: namespace))
        quota.recount(
            contents, count: { lookup.count(resource: $0, namespace: namespace) }, now: now)
    }
}

extension ResourceVerbs {
    /// Commits a change of an object together with what it means for the quotas of its namespace.
    ///
    /// - Parameters:
    ///   - companions: what else is to be committed with it.
    ///   - new: the object afterwards; nil when it is removed.
    ///   - old: the object before; nil when it is created.
    func commit(
        _ mutation: Mutation, with companions: [Mutation] = [], new: Object?, old: Object?,
        subresource: String = ""
    ) async throws(APIError) -> StoredObject {
        guard kind.isNamespaced, core.store.count(resource: ResourceQuota.resource.groupResource) > 0 else {
            return try await commit([mutation] + companions)
        }
        let enforces = QuotaAdmission.enforces(new, old: old, subresource: subresource)
        while true {
            let booked = try QuotaAdmission.booking(
                new: new, old: old, namespace: mutation.key.namespace, enforces: enforces, now: core.now(),
                core)
            var bookings: [Mutation] = []
            for quota in booked {
                let key = ObjectKey(
                    resource: ResourceQuota.resource.groupResource, namespace: mutation.key.namespace,
                    name: quota.metadata.name)
                bookings.append(
                    .update(
                        key, try StoredForm.draft(of: quota, QuotaResources.quotas),
                        expected: Revision(quota.metadata.resourceVersion) ?? 0))
            }
            do {
                return try await commit([mutation] + companions + bookings)
            } catch {
                // Another change was booked in between: look at the quotas again. Each round that fails is one
                // in which somebody else's succeeded.
                let isStale = bookings.isOvertaken(in: core.store) && !companions.isOvertaken(in: core.store)
                guard error.status.reason == "Conflict" || error.status.reason == "NotFound", isStale else {
                    throw error
                }
            }
        }
    }
}
