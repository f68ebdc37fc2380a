import APIServer
import KubernetesAPI
import KubernetesJSON
import Testing

/// What pods may use whose account lists the secrets for them, and what mirror pods may not use.
@Suite struct PodSecretsTests {
    private func account(_ wish: String?) -> ServiceAccount {
        var account = ServiceAccount(metadata: ObjectMeta(name: "em"))
        account.metadata.annotations["kubernetes.io/enforce-mountable-secrets"] = wish
        account.secrets = [ObjectReference(name: "own")]
        account.imagePullSecrets = [LocalObjectReference(name: "pull")]
        return account
    }

    private func variable(_ secret: String) -> EnvVar {
        EnvVar(
            name: "V", valueFrom: EnvVarSource(secretKeyRef: SecretKeySelector(name: secret, key: "k")))
    }

    private func source(_ secret: String) -> EnvFromSource {
        EnvFromSource(secretRef: SecretEnvSource(name: secret))
    }

    private func container(_ name: String, env: String? = nil, envFrom: String? = nil) -> Container {
        var container = Container(name: name)
        container.env = env.map { [variable($0)] } ?? []
        container.envFrom = envFrom.map { [source($0)] } ?? []
        return container
    }

    private func guest(env: String? = nil, envFrom: String? = nil) -> PodSpec {
        var guest = EphemeralContainer(name: "e")
        guest.env = env.map { [variable($0)] } ?? []
        guest.envFrom = envFrom.map { [source($0)] } ?? []
        var spec = PodSpec()
        spec.ephemeralContainers = [guest]
        return spec
    }

    private func volume(_ secret: String) -> Volume {
        Volume(name: "v", secret: SecretVolumeSource(secretName: secret))
    }

    private func volume(of source: VolumeProjection) -> Volume {
        Volume(name: "v", projected: ProjectedVolumeSource(sources: [source]))
    }

    @Test func onlyAccountsThatAskAreBound() {
        for wish in [nil, "", "false", "yes"] { #expect(PodSecrets(of: account(wish)) == nil) }
        for wish in ["true", "1", "T"] { #expect(PodSecrets(of: account(wish)) != nil) }
    }

    @Test func whatTheAccountListsIsAllowed() throws {
        let secrets = try #require(PodSecrets(of: account("true")))
        var spec = PodSpec()
        spec.volumes = [volume("own")]
        spec.initContainers = [container("i", env: "own", envFrom: "own")]
        spec.containers = [container("c", env: "own", envFrom: "own")]
        spec.imagePullSecrets = [LocalObjectReference(name: "pull")]
        #expect(secrets.objection(to: spec) == nil)
        #expect(secrets.objection(toGuestsOf: guest(env: "own", envFrom: "own")) == nil)
    }

    @Test func everyOtherUseIsNamed() throws {
        let secrets = try #require(PodSecrets(of: account("true")))
        let end =
            #"secret.secretName="x" is not allowed because service account em does not reference that secret"#
        let cases: [(PodSpec, String)] = [
            (PodSpec(volumes: [volume("x")]), "volume with "),
            (
                PodSpec(initContainers: [container("i", env: "x")]),
                "init container i with envVar V referencing "
            ),
            (
                PodSpec(initContainers: [container("i", envFrom: "x")]),
                "init container i with envFrom referencing "
            ),
            (PodSpec(containers: [container("c", env: "x")]), "container c with envVar V referencing "),
            (PodSpec(containers: [container("c", envFrom: "x")]), "container c with envFrom referencing "),
        ]
        for (spec, start) in cases { #expect(secrets.objection(to: spec) == start + end) }
        let images = PodSpec(imagePullSecrets: ["pull", "own"].map { LocalObjectReference(name: $0) })
        #expect(
            secrets.objection(to: images)
                == #"imagePullSecrets[1].name="own" is not allowed because service account em does not "#
                + "reference that imagePullSecret")
        #expect(
            secrets.objection(toGuestsOf: guest(env: "x"))
                == "ephemeral container e with envVar V referencing " + end)
        #expect(
            secrets.objection(toGuestsOf: guest(envFrom: "x"))
                == "ephemeral container e with envFrom referencing " + end)
    }

    @Test func mirrorPodsUseNothingOfTheCluster() {
        func objection(_ spec: PodSpec) -> String? { PodSecrets.objection(toMirror: Pod(spec: spec)) }
        #expect(objection(PodSpec(volumes: [Volume(name: "v")], containers: [container("c")])) == nil)
        #expect(
            objection(PodSpec(serviceAccountName: "a")) == "a mirror pod may not reference service accounts")
        let storage = Volume(
            name: "v", csi: CSIVolumeSource(nodePublishSecretRef: LocalObjectReference(name: "x")))
        for spec in [
            PodSpec(volumes: [volume("x")]), PodSpec(volumes: [storage]),
            PodSpec(volumes: [volume(of: VolumeProjection(secret: SecretProjection(name: "x")))]),
            PodSpec(initContainers: [container("c", envFrom: "x")]),
            PodSpec(containers: [container("c", env: "x")]), guest(env: "x"),
            PodSpec(imagePullSecrets: [LocalObjectReference(name: "x")]),
        ] {
            #expect(objection(spec) == "a mirror pod may not reference secrets")
        }
        let token = VolumeProjection(serviceAccountToken: ServiceAccountTokenProjection(path: "token"))
        #expect(
            objection(PodSpec(volumes: [volume(of: token)]))
                == "a mirror pod may not use ServiceAccountToken volume projections")
    }

    // MARK: Through the server

    private func pod(_ name: String, _ secret: String, _ metadata: String = "", account: String) -> String {
        #"{"metadata":{"name":"\#(name)"\#(metadata)},"spec":{"serviceAccountName":"\#(account)","#
            + #""containers":[{"name":"c","image":"i"}],"#
            + #""volumes":[{"name":"v","secret":{"secretName":"\#(secret)"}}]}}"#
    }

    @Test func requestsAreForbidden() async throws {
        let api = try await Harness()
        let accounts = "/api/v1/namespaces/default/serviceaccounts"
        let made = try await api.post(
            accounts,
            #"{"metadata":{"name":"em","annotations":{"kubernetes.io/enforce-mountable-secrets":"true"}},"#
                + #""secrets":[{"kind":"Secret","name":"own"}]}"#)
        #expect(made.status == 201)
        #expect(made.json["secrets"] == [["name": "own"]])
        #expect(made.warnings.count == 1)
        // Who keeps the annotation is told no more.
        #expect(try await api.patch("\(accounts)/em", #"{"metadata":{"labels":{"a":"b"}}}"#).warnings == [])

        let refused = try await api.post(Harness.pods, pod("a", "x", account: "em"))
        #expect(refused.status == 403)
        #expect(
            refused.message
                == #"pods "a" is forbidden: volume with secret.secretName="x" is not allowed because service "#
                + "account em does not reference that secret")
        #expect(try await api.post(Harness.pods, pod("a", "own", account: "em")).status == 201)
        // What is forbidden is said before what is invalid (there is no nodeName).
        let mirror = try await api.post(
            Harness.pods,
            pod("m", "x", #","annotations":{"kubernetes.io/config.mirror":"h"}"#, account: ""))
        #expect(mirror.message == #"pods "m" is forbidden: a mirror pod may not reference secrets"#)
    }

    @Test func guestsAreForbidden() async throws {
        let api = try await Harness()
        _ = try await api.post(
            "/api/v1/namespaces/default/serviceaccounts",
            #"{"metadata":{"name":"em","annotations":{"kubernetes.io/enforce-mountable-secrets":"true"}},"#
                + #""secrets":[{"name":"own"}]}"#)
        #expect(try await api.post(Harness.pods, pod("a", "own", account: "em")).status == 201)
        func add(_ secret: String) async throws -> Harness.Reply {
            try await api.patch(
                "\(Harness.pods)/a/ephemeralcontainers",
                #"{"spec":{"ephemeralContainers":[{"name":"e","image":"i","#
                    + #""envFrom":[{"secretRef":{"name":"\#(secret)"}}]}]}}"#,
                type: "strategic")
        }
        let strange = try await add("x")
        #expect(strange.status == 403)
        #expect(
            strange.message
                == #"pods "a" is forbidden: ephemeral container e with envFrom referencing "#
                + #"secret.secretName="x" is not allowed because service account em does not reference that "#
                + "secret")
        #expect(try await add("own").status == 200)
    }
}
