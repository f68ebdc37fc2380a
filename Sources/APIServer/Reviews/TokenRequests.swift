import KubernetesAPI
import KubernetesJSON

/// `serviceaccounts/NAME/token`: issues a token for a service account, bound to a pod if asked for.
struct TokenRequests: Sendable {
    let core: ServerCore
    let authenticator: Authenticator
    let context: RequestContext

    /// Ten minutes: shorter ones are of no use (upstream's lower bound).
    static let minimumLifetime = 600
    static let defaultLifetime = 3600
    /// Upstream's own bound for tokens that ask for 3607 s is a year; ours live what was asked for.
    static let maximumLifetime = 1 << 32

    func issue() async throws(APIError) -> Answer {
        let options = try WriteQuery(context.query, kind: "CreateOptions")
        let decoded = try BodyDecoder.decode(
            TokenRequest.self, try await context.body(),
            contentType: context.request.headers.first(name: "content-type"), options.fieldValidation)
        var request = decoded.object
        let info = context.info
        guard let account = core.find(ServiceAccount.self, info.name, namespace: info.namespace) else {
            throw .notFound(ServiceAccount.resource, info.name)
        }
        if let node = NodeIdentity(context.user) {
            let pod = request.spec.boundObjectRef.flatMap {
                core.find(Pod.self, $0.name, namespace: info.namespace)
            }
            if let objection = NodeRestriction.objection(node, toTokenFor: request.spec.boundObjectRef, pod) {
                throw .forbidden(ServiceAccount.resource, info.name, objection)
            }
        }
        let lifetime = request.spec.expirationSeconds ?? Self.defaultLifetime
        request.metadata = ObjectMeta(name: info.name, namespace: info.namespace)
        if lifetime < Self.minimumLifetime {
            throw .invalid(
                request,
                [
                    .invalid(
                        "spec.expirationSeconds", .integer(Int64(lifetime)),
                        "may not specify a duration less than 10 minutes")
                ])
        }
        if lifetime > Self.maximumLifetime {
            throw .invalid(
                request,
                [
                    .invalid(
                        "spec.expirationSeconds", .integer(Int64(lifetime)),
                        "may not specify a duration larger than 2^32 seconds")
                ])
        }
        if request.spec.audiences.isEmpty { request.spec.audiences = authenticator.audiences }
        var subject = TokenSubject(
            namespace: info.namespace, serviceAccount: info.name,
            serviceAccountUID: account.metadata.uid, audiences: request.spec.audiences)
        if let bound = request.spec.boundObjectRef { try bind(&subject, bound) }
        guard let credentials = authenticator.credentials else {
            throw .internalError("this server has no key to sign tokens with")
        }
        let issued: IssuedToken
        do {
            issued = try credentials.issue(subject, lifetimeSeconds: lifetime)
        } catch {
            throw .internalError("failed to generate token: \(error)")
        }
        request.metadata.creationTimestamp = core.now()
        request.spec.expirationSeconds = lifetime
        request.status = TokenRequestStatus(token: issued.token, expirationTimestamp: issued.expiration)
        return .value(request, status: .created, warnings: decoded.warnings)
    }

    private func bind(_ subject: inout TokenSubject, _ reference: BoundObjectReference) throws(APIError) {
        let namespace = subject.namespace
        switch (reference.apiVersion, reference.kind) {
        case ("v1", "Pod"):
            let pod = try bound(Pod.self, reference, namespace)
            guard pod.spec.serviceAccountName == subject.serviceAccount else {
                throw .badRequest(
                    "cannot bind token for serviceaccount \"\(subject.serviceAccount)\" "
                        + "to pod running with different serviceaccount name.")
            }
            subject.pod = .init(name: reference.name, uid: pod.metadata.uid)
            guard !pod.spec.nodeName.isEmpty else { return }
            // A node that is gone is named all the same.
            subject.node = .init(
                name: pod.spec.nodeName, uid: core.find(Node.self, pod.spec.nodeName)?.metadata.uid ?? "")
        case ("v1", "Secret"):
            let secret = try bound(Secret.self, reference, namespace)
            subject.secret = .init(name: reference.name, uid: secret.metadata.uid)
        case ("v1", "Node"):
            let node = try bound(Node.self, reference, "")
            subject.node = .init(name: reference.name, uid: node.metadata.uid)
        default:
            let version =
                reference.apiVersion.contains("/") ? reference.apiVersion : "/" + reference.apiVersion
            throw .badRequest("cannot bind token to object of type \(version), Kind=\(reference.kind)")
        }
    }

    private func bound<Object: KubernetesObject>(
        _ type: Object.Type, _ reference: BoundObjectReference, _ namespace: String
    ) throws(APIError) -> Object {
        guard let object = core.find(type, reference.name, namespace: namespace) else {
            throw .notFound(Object.resource, reference.name)
        }
        guard reference.uid.isEmpty || reference.uid == object.metadata.uid else {
            // Upstream names the kind here, not the resource.
            var kind = Object.resource
            kind.plural = kind.kind
            throw .conflict(
                kind, reference.name,
                "the UID in the bound object reference (\(reference.uid)) does not match the UID in record. "
                    + "The object might have been deleted and then recreated")
        }
        return object
    }
}
