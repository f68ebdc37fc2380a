import KubernetesAPI
import KubernetesJSON
import ObjectStore

/// How the parts of the control plane are, as the deprecated ComponentStatus tells it: made when asked for.
struct ComponentStatuses: Sendable {
    let core: ServerCore
    /// The parts beside the API server and its store.
    let components: @Sendable () -> [(name: String, failure: String?)]

    static let resource: Resource<ComponentStatus> = {
        var resource = Resource<ComponentStatus>()
        resource.table = table
        resource.verbs = ["get", "list"]
        resource.deprecation = "v1 ComponentStatus is deprecated in v1.19+"
        return resource
    }()

    func answer(_ context: RequestContext) throws(APIError) -> Answer {
        let warnings = Self.resource.deprecation.map { [$0] } ?? []
        let all = try objects()
        switch context.info.verb {
        case "list":
            let query = try ListQuery(
                context.query, isWatch: false, selectable: ["metadata.name", "metadata.namespace"])
            let filter = ObjectFilter(labels: query.labels, fields: query.fields)
            return Answer(
                .list(ListAnswer(objects: all.filter(filter.matches), revision: core.store.revision)),
                warnings: warnings)
        case "get":
            guard let found = all.first(where: { $0.key.name == context.info.name }) else {
                throw .notFound(ComponentStatus.resource, context.info.name)
            }
            return Answer(.object(found.bytes), warnings: warnings)
        default:
            throw .methodNotAllowed
        }
    }

    private func objects() throws(APIError) -> [StoredObject] {
        // The store stands where others find etcd.
        let parts = components() + [("etcd-0", core.store.failure?.message)]
        var objects: [StoredObject] = []
        for part in parts {
            let status = Self.status(part.name, failure: part.failure)
            let key = ObjectKey(resource: ComponentStatus.resource.groupResource, name: part.name)
            do {
                objects.append(
                    try StoredObject(
                        key: key, revision: core.store.revision,
                        draft: try StoredForm.draft(of: status, Self.resource)))
            } catch let error as APIError {
                throw error
            } catch {
                throw .internalError("\(error)")
            }
        }
        return objects
    }

    static func status(_ name: String, failure: String?) -> ComponentStatus {
        let condition =
            failure.map { ComponentCondition(type: "Healthy", status: "False", message: $0) }
            ?? ComponentCondition(type: "Healthy", status: "True", message: "ok")
        return ComponentStatus(metadata: ObjectMeta(name: name), conditions: [condition])
    }

    private static let table = TablePrinter<ComponentStatus>([
        .name,
        TableColumn("Status", "Healthy, Unhealthy or Unknown."),
        TableColumn("Message", "What the part said of itself."),
        TableColumn("Error", "What went wrong."),
    ]) { component, _ in
        let health = component.conditions.first { $0.type == "Healthy" }
        let status =
            switch health?.status {
            case "True": "Healthy"
            case "False": "Unhealthy"
            default: "Unknown"
            }
        return [
            .string(component.metadata.name), .string(status), .string(health?.message ?? ""),
            .string(health?.error ?? ""),
        ]
    }
}
