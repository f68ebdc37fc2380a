import KubernetesAPI
import KubernetesJSON

/// The paths of resources as OpenAPI operations: what can be done, with which parameters. Clients look for
/// the parameters to find out what the server can do (dryRun, fieldValidation).
package struct PathDocument: Sendable {
    let dialect: SchemaDocument.Dialect

    package init(_ dialect: SchemaDocument.Dialect) { self.dialect = dialect }

    /// One thing that can be done at a path.
    struct Operation {
        var method: String
        var action: String
        var kind: JSONValue
        /// Definition names of what is sent and answered.
        var body: String?
        var answer: String
        var query: [Parameter]
        var tag: String
        var id: String
    }

    struct Parameter {
        var name: String
        var type: String
        var description: String
        init(_ name: String, _ type: String, _ description: String) {
            self.name = name
            self.type = type
            self.description = description
        }
    }

    private static let pretty = Parameter("pretty", "string", "Indent the answer when true.")
    private static let dryRun = Parameter("dryRun", "string", "All: do everything but store the result.")
    private static let manager = Parameter("fieldManager", "string", "Who makes the change.")
    private static let validation = Parameter(
        "fieldValidation", "string",
        "What unknown and duplicate fields mean: Ignore, Warn (the default) or Strict.")
    private static let force = Parameter(
        "force", "boolean", "Take over fields of other managers (apply only).")
    private static let list: [Parameter] = [
        Parameter("allowWatchBookmarks", "boolean", "Send bookmarks in a watch."),
        Parameter("continue", "string", "Token of the previous page."),
        Parameter("fieldSelector", "string", "Only objects whose fields match."),
        Parameter("labelSelector", "string", "Only objects whose labels match."),
        Parameter("limit", "integer", "How many objects a page has at most."),
        Parameter("resourceVersion", "string", "The version to show, or to watch from."),
        Parameter("resourceVersionMatch", "string", "Exact or NotOlderThan."),
        Parameter("sendInitialEvents", "boolean", "Begin a watch with what there is."),
        Parameter("timeoutSeconds", "integer", "How long a watch lasts."),
        Parameter("watch", "boolean", "Watch in place of list."),
    ]
    private static let deletion: [Parameter] = [
        dryRun, Parameter("gracePeriodSeconds", "integer", "Seconds the object gets to end."),
        Parameter("orphanDependents", "boolean", "Old form of propagationPolicy=Orphan."),
        Parameter("propagationPolicy", "string", "Orphan, Background or Foreground."),
    ]

    /// All paths of a group and version, sorted.
    package func paths(_ version: Registry.Version, group: String) -> JSONObject {
        var found: [String: [Operation]] = [:]
        let root = group.isEmpty ? "/api/\(version.name)" : "/apis/\(group)/\(version.name)"
        let tag =
            (group.isEmpty ? "core" : group.split(separator: ".").first.map(String.init) ?? group)
            + "_" + version.name
        for resource in version.resources { add(resource, root, tag, &found) }
        for review in version.reviews {
            let path =
                review.kind.isNamespaced
                ? "\(root)/namespaces/{namespace}/\(review.kind.plural)" : "\(root)/\(review.kind.plural)"
            let name =
                SchemaRegistry.shared.type(
                    group: review.kind.group, version: review.kind.version, kind: review.kind.kind)?
                .definitionName ?? review.kind.kind
            found[path, default: []].append(
                Operation(
                    method: "post", action: "post", kind: SchemaDocument.groupVersionKind(review.kind),
                    body: name, answer: name, query: [Self.dryRun, Self.manager, Self.validation], tag: tag,
                    id: "create\(review.kind.kind)"))
        }
        var object = JSONObject()
        for (path, operations) in found.sorted(by: { $0.key < $1.key }) {
            object[path] = item(path, operations)
        }
        return object
    }

    private func add(
        _ resource: some AnyResource, _ root: String, _ tag: String, _ found: inout [String: [Operation]]
    ) {
        let kind = resource.kind
        let definition = resource.definition
        let shown = SchemaDocument.groupVersionKind(kind)
        let type = SchemaRegistry.shared.type(group: kind.group, version: kind.version, kind: kind.kind)
        let name = type?.definitionName ?? kind.kind
        let status = SchemaRegistry.shared.type(named: "Status")?.definitionName ?? "Status"
        let options = SchemaRegistry.shared.type(named: "DeleteOptions")?.definitionName
        let collection =
            kind.isNamespaced ? "\(root)/namespaces/{namespace}/\(kind.plural)" : "\(root)/\(kind.plural)"
        let scope = kind.isNamespaced ? "Namespaced" : ""
        func operation(
            _ method: String, _ action: String, _ verb: String, body: String?, answer: String,
            _ query: [Parameter], suffix: String = ""
        ) -> Operation {
            Operation(
                method: method, action: action, kind: shown, body: body, answer: answer,
                query: query, tag: tag, id: "\(verb)\(tag)\(scope)\(kind.kind)\(suffix)")
        }
        let verbs = Set(definition.verbs)
        if verbs.contains("list") {
            let list = operation("get", "list", "list", body: nil, answer: name + "List", Self.list)
            found[collection, default: []].append(list)
            if kind.isNamespaced {
                found["\(root)/\(kind.plural)", default: []].append(
                    operation(
                        "get", "list", "list", body: nil, answer: name + "List", Self.list,
                        suffix: "ForAllNamespaces"))
            }
        }
        let writing = [Self.dryRun, Self.manager, Self.validation]
        if verbs.contains("create") {
            found[collection, default: []].append(
                operation("post", "post", "create", body: name, answer: name, writing))
        }
        if verbs.contains("deletecollection") {
            found[collection, default: []].append(
                operation(
                    "delete", "deletecollection", "deleteCollection", body: options, answer: status,
                    Self.deletion + Self.list.filter { $0.name.hasSuffix("Selector") }))
        }
        let item = collection + "/{name}"
        if verbs.contains("get") {
            found[item, default: []].append(operation("get", "get", "read", body: nil, answer: name, []))
        }
        if verbs.contains("update") {
            found[item, default: []].append(
                operation("put", "put", "replace", body: name, answer: name, writing))
        }
        if verbs.contains("patch") {
            found[item, default: []].append(
                operation("patch", "patch", "patch", body: "Patch", answer: name, writing + [Self.force]))
        }
        if verbs.contains("delete") {
            found[item, default: []].append(
                operation("delete", "delete", "delete", body: options, answer: status, Self.deletion))
        }
        for subresource in definition.subresources {
            addSubresource(subresource, of: kind, item, name, tag, &found)
        }
    }

    private func addSubresource(
        _ subresource: Subresource, of kind: ResourceKind, _ item: String, _ name: String, _ tag: String,
        _ found: inout [String: [Operation]]
    ) {
        let group = subresource.group ?? kind.group
        let version = subresource.version ?? kind.version
        let type = SchemaRegistry.shared.type(group: group, version: version, kind: subresource.kind)
        let shown: JSONValue = [
            "group": .string(group), "kind": .string(subresource.kind), "version": .string(version),
        ]
        let answer = type?.definitionName ?? name
        let writing = [Self.dryRun, Self.manager, Self.validation]
        let suffix = subresource.name.prefix(1).uppercased() + subresource.name.dropFirst()
        for verb in subresource.verbs {
            let method = [
                "get": "get", "create": "post", "update": "put", "patch": "patch", "delete": "delete",
            ]
            guard let method = method[verb] else { continue }
            let isConnect =
                type == nil || ["log", "exec", "attach", "portforward", "proxy"].contains(subresource.name)
            found["\(item)/\(subresource.name)", default: []].append(
                Operation(
                    method: method, action: isConnect ? "connect" : method, kind: shown,
                    body: isConnect || verb == "get" ? nil : (verb == "patch" ? "Patch" : answer),
                    answer: isConnect ? "" : answer,
                    query: verb == "get" || isConnect ? [] : writing + (verb == "patch" ? [Self.force] : []),
                    tag: tag, id: "\(verb)\(tag)Namespaced\(kind.kind)\(suffix)"))
        }
    }

    // MARK: Writing

    private func item(_ path: String, _ operations: [Operation]) -> JSONValue {
        var object = JSONObject()
        for operation in operations.sorted(by: { $0.method < $1.method }) {
            object[operation.method] = write(operation)
        }
        var parameters: [JSONValue] = []
        if path.contains("{name}") { parameters.append(pathParameter("name", "Name of the object.")) }
        if path.contains("{namespace}") {
            parameters.append(pathParameter("namespace", "Namespace of the object."))
        }
        parameters.append(query(Self.pretty))
        object["parameters"] = .array(parameters)
        return .object(object)
    }

    private func pathParameter(_ name: String, _ description: String) -> JSONValue {
        var value: JSONValue = [
            "name": .string(name), "in": "path", "description": .string(description), "required": true,
        ]
        setType("string", &value)
        return value
    }

    private func query(_ parameter: Parameter) -> JSONValue {
        var value: JSONValue = [
            "name": .string(parameter.name), "in": "query",
            "description": .string(parameter.description),
        ]
        setType(parameter.type, &value)
        return value
    }

    private func setType(_ type: String, _ value: inout JSONValue) {
        if dialect == .v2 {
            value["type"] = .string(type)
            value["uniqueItems"] = true
        } else {
            value["schema"] = ["type": .string(type), "uniqueItems": true]
        }
    }

    private func write(_ operation: Operation) -> JSONValue {
        let schemas = SchemaDocument(dialect)
        func schema(_ name: String) -> JSONValue {
            name == "Patch" ? ["type": "object"] : ["$ref": .string(schemas.reference(name))]
        }
        var parameters = operation.query.map(query)
        var value: JSONValue = [
            "tags": [.string(operation.tag)], "operationId": .string(operation.id),
        ]
        let patches: [String] = PatchType.allCases.map(\.rawValue)
        if dialect == .v2 {
            if let body = operation.body {
                parameters.insert(
                    [
                        "name": "body", "in": "body", "required": .bool(operation.method != "delete"),
                        "schema": schema(body),
                    ], at: 0)
            }
            value["consumes"] = operation.method == "patch" ? .array(patches.map { .string($0) }) : ["*/*"]
            value["produces"] = ["application/json", "application/yaml"]
            value["schemes"] = ["https"]
        } else if let body = operation.body {
            var content = JSONObject()
            for type in operation.method == "patch" ? patches : ["*/*"] {
                content[type] = ["schema": schema(body)]
            }
            value["requestBody"] = ["content": .object(content)]
        }
        if !parameters.isEmpty { value["parameters"] = .array(parameters) }
        var ok: JSONValue = ["description": "OK"]
        if !operation.answer.isEmpty {
            if dialect == .v2 {
                ok["schema"] = schema(operation.answer)
            } else {
                ok["content"] = ["application/json": ["schema": schema(operation.answer)]]
            }
        }
        value["responses"] = ["200": ok, "401": ["description": "Unauthorized"]]
        value["x-kubernetes-action"] = .string(operation.action)
        value["x-kubernetes-group-version-kind"] = operation.kind
        return value
    }
}
