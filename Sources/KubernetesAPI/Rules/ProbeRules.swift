/// Rules on probes and lifecycle hooks.
enum ProbeRules {
    /// What a probe or hook does.
    private struct Handler {
        var exec: ExecAction?
        var httpGet: HTTPGetAction?
        var tcpSocket: TCPSocketAction?
        var grpc: GRPCAction?
        var sleep: SleepAction?
    }

    /// A probe; liveness and startup probes succeed with the first success.
    static func probe(_ path: RulePath, _ probe: Probe?, mayNeedSeveral: Bool) -> [FieldError] {
        guard let probe else { return [] }
        var errors = handler(
            path,
            Handler(exec: probe.exec, httpGet: probe.httpGet, tcpSocket: probe.tcpSocket, grpc: probe.grpc),
            grace: nil)
        for (field, value) in [
            ("initialDelaySeconds", probe.initialDelaySeconds), ("timeoutSeconds", probe.timeoutSeconds),
            ("periodSeconds", probe.periodSeconds), ("successThreshold", probe.successThreshold),
            ("failureThreshold", probe.failureThreshold),
        ] {
            errors.requireNonnegative(path.child(field), value)
        }
        if let grace = probe.terminationGracePeriodSeconds, grace <= 0 {
            errors.invalid(path.child("terminationGracePeriodSeconds"), grace, "must be greater than 0")
        }
        if !mayNeedSeveral, probe.successThreshold != 1 {
            errors.invalid(path.child("successThreshold"), probe.successThreshold, "must be 1")
        }
        return errors
    }

    /// A lifecycle hook; `grace` is the pod's grace period in seconds.
    static func hook(_ path: RulePath, _ hook: LifecycleHandler?, _ grace: Int?) -> [FieldError] {
        guard let hook else { return [] }
        return handler(
            path,
            Handler(exec: hook.exec, httpGet: hook.httpGet, tcpSocket: hook.tcpSocket, sleep: hook.sleep),
            grace: grace)
    }

    private static func handler(_ path: RulePath, _ handler: Handler, grace: Int?) -> [FieldError] {
        var errors: [FieldError] = []
        var isFirst = true
        /// Only one kind of handler may be set; the further ones are refused without a look inside.
        func only(_ field: String, _ isSet: Bool, _ check: (RulePath) -> [FieldError]) {
            guard isSet else { return }
            if isFirst {
                errors += check(path.child(field))
            } else {
                errors.forbidden(path.child(field), "may not specify more than 1 handler type")
            }
            isFirst = false
        }
        only("exec", handler.exec != nil) { path in
            handler.exec?.command.isEmpty == true ? [.required(path.child("command").text)] : []
        }
        only("httpGet", handler.httpGet != nil) { path in handler.httpGet.map { http(path, $0) } ?? [] }
        only("tcpSocket", handler.tcpSocket != nil) { path in
            port(path.child("port"), handler.tcpSocket?.port ?? 0)
        }
        only("grpc", handler.grpc != nil) { path in
            port(path.child("port"), .int(handler.grpc?.port ?? 0))
        }
        only("sleep", handler.sleep != nil) { path in
            guard let grace, let seconds = handler.sleep?.seconds, seconds < 0 || seconds > grace else {
                return []
            }
            return [
                .invalid(
                    path.text, .integer(Int64(seconds)),
                    "must be non-negative and less than terminationGracePeriodSeconds (\(grace))")
            ]
        }
        if isFirst { errors.required(path, "must specify a handler type") }
        return errors
    }

    private static func http(_ path: RulePath, _ action: HTTPGetAction) -> [FieldError] {
        var errors: [FieldError] = []
        if action.path.isEmpty { errors.required(path.child("path")) }
        errors += port(path.child("port"), action.port)
        errors.requireOneOf(path.child("scheme"), action.scheme, ["HTTP", "HTTPS"])
        for header in action.httpHeaders {
            errors.require(NameRules.headerName, path.child("httpHeaders"), header.name)
        }
        return errors
    }

    /// The number or the name of a port.
    static func port(_ path: RulePath, _ port: IntOrString) -> [FieldError] {
        var errors: [FieldError] = []
        switch port {
        case .int(let number): errors.requireRange(path, number, RuleText.ports)
        case .string(let name): errors.require(NameRules.portName, path, name)
        }
        return errors
    }
}
