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

    private func bind(_ subject: inout TokenSubject, _ bound: BoundObjectReference) throws(APIError) {
        guard bound.kind == "Pod" else {
            throw .badRequest("cannot bind token to object of type \(bound.apiVersion), Kind=\(bound.kind)")
        }
        guard let pod = core.find(Pod.self, bound.name, namespace: subject.namespace) else {
            throw .notFound(Pod.resource, bound.name)
        }
        guard bound.uid.isEmpty || bound.uid == pod.metadata.uid else {
            throw .conflict(
                Pod.resource, bound.name,
                "the UID in the bound object reference (\(bound.uid)) does not match the UID in record. "
                    + "The object might have been deleted and then recreated")
        }
        guard pod.spec.serviceAccountName == subject.serviceAccount else {
            throw .badRequest(
                "cannot bind token for serviceaccount \"\(subject.serviceAccount)\" "
                    + "to pod running with different serviceaccount name.")
        }
        subject.podName = bound.name
        subject.podUID = pod.metadata.uid
    }
}
