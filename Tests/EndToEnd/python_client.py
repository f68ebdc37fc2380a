"""What a person does with the Kubernetes client for Python, unmodified. Ends with "all is well" or a traceback."""

import sys

from kubernetes import client, config, watch
from kubernetes.client.rest import ApiException
from kubernetes.stream import portforward, stream

NAMESPACE = "python"

config.load_kube_config()
core = client.CoreV1Api()
apps = client.AppsV1Api()


def expect(condition, what):
    if not condition:
        raise AssertionError(what)


def refused(status, reason, call, *arguments, **options):
    try:
        call(*arguments, **options)
    except ApiException as error:
        expect(error.status == status, f"status {error.status}: {error.body}")
        expect(f'"reason":"{reason}"' in error.body.replace(" ", ""), error.body)
        return error
    raise AssertionError(f"{call.__name__} was not refused")


def config_map(name, labels=None, **data):
    return client.V1ConfigMap(metadata=client.V1ObjectMeta(name=name, labels=labels), data=data)


def crud():
    expect(client.VersionApi().get_code().git_version.startswith("v1."), "version")
    core.create_namespace(client.V1Namespace(metadata=client.V1ObjectMeta(name=NAMESPACE)))
    made = core.create_namespaced_config_map(NAMESPACE, config_map("a", {"app": "x"}, key="1"))
    expect(made.metadata.uid and made.metadata.resource_version and made.metadata.creation_timestamp, made)
    refused(409, "AlreadyExists", core.create_namespaced_config_map, NAMESPACE, config_map("a"))
    refused(404, "NotFound", core.read_namespaced_config_map, "none", NAMESPACE)
    refused(422, "Invalid", core.create_namespaced_config_map, NAMESPACE, config_map("Not a name"))

    read = core.read_namespaced_config_map("a", NAMESPACE)
    read.data["key"] = "2"
    replaced = core.replace_namespaced_config_map("a", NAMESPACE, read)
    expect(replaced.data == {"key": "2"}, replaced)
    refused(409, "Conflict", core.replace_namespaced_config_map, "a", NAMESPACE, read)
    dry = core.create_namespaced_config_map(NAMESPACE, config_map("dry"), dry_run="All")
    expect(dry.metadata.name == "dry", dry)
    refused(404, "NotFound", core.read_namespaced_config_map, "dry", NAMESPACE)

    for number in range(5):
        core.create_namespaced_config_map(NAMESPACE, config_map(f"page-{number}", {"page": str(number % 2)}))
    names, token = [], None
    while True:
        page = core.list_namespaced_config_map(NAMESPACE, limit=2, _continue=token, label_selector="page")
        names += [item.metadata.name for item in page.items]
        token = page.metadata._continue
        if not token:
            break
    expect(names == [f"page-{number}" for number in range(5)], names)
    even = core.list_namespaced_config_map(NAMESPACE, label_selector="page in (0)").items
    expect(len(even) == 3, even)
    one = core.list_namespaced_config_map(NAMESPACE, field_selector="metadata.name=page-3").items
    expect([item.metadata.name for item in one] == ["page-3"], one)

    gone = core.delete_namespaced_config_map("a", NAMESPACE)
    expect(gone.status == "Success", gone)
    core.delete_collection_namespaced_config_map(NAMESPACE, label_selector="page")
    expect(not core.list_namespaced_config_map(NAMESPACE, label_selector="page").items, "a collection is left")

    secret = core.create_namespaced_secret(
        NAMESPACE, client.V1Secret(metadata=client.V1ObjectMeta(generate_name="s-"), string_data={"a": "b"}))
    expect(secret.metadata.name.startswith("s-") and secret.data == {"a": "Yg=="}, secret)


def patches():
    core.create_namespaced_config_map(NAMESPACE, config_map("p", a="1", b="2"))

    def api(kind, content_type):
        """The same API with another content type: the client has no parameter for it."""
        connection = client.ApiClient()
        connection.set_default_header("Content-Type", content_type)
        return kind(connection)

    def patched(body, content_type=None):
        target = api(client.CoreV1Api, content_type) if content_type else core
        return target.patch_namespaced_config_map("p", NAMESPACE, body).data

    # A list is a JSON patch; of anything else the client takes care itself.
    expect(patched([{"op": "replace", "path": "/data/a", "value": "3"}]) == {"a": "3", "b": "2"}, "JSON patch")
    expect(patched({"data": {"b": None, "c": "4"}}, "application/merge-patch+json") == {"a": "3", "c": "4"}, "merge")
    expect(patched({"data": {"c": "5"}}, "application/strategic-merge-patch+json") == {"a": "3", "c": "5"}, "strategic")
    expect(patched({"data": {"d": "6"}})["d"] == "6", "the default")

    labels = {"app": "patched"}
    container = client.V1Container(name="one", image="busybox", command=["sleep", "1000"])
    apps.create_namespaced_deployment(NAMESPACE, client.V1Deployment(
        metadata=client.V1ObjectMeta(name="patched"),
        spec=client.V1DeploymentSpec(
            replicas=0, selector=client.V1LabelSelector(match_labels=labels),
            template=client.V1PodTemplateSpec(
                metadata=client.V1ObjectMeta(labels=labels), spec=client.V1PodSpec(containers=[container])))))
    strategic = api(client.AppsV1Api, "application/strategic-merge-patch+json")
    merged = strategic.patch_namespaced_deployment("patched", NAMESPACE, {"spec": {"template": {"spec": {
        "containers": [{"name": "two", "image": "busybox"}]}}}})
    expect(sorted(c.name for c in merged.spec.template.spec.containers) == ["one", "two"], merged.spec.template.spec)
    scaled = apps.patch_namespaced_deployment_scale("patched", NAMESPACE, {"spec": {"replicas": 0}})
    expect(scaled.spec.replicas in (0, None), scaled)
    apps.delete_namespaced_deployment("patched", NAMESPACE, propagation_policy="Background")


def watches():
    start = core.list_namespaced_config_map(NAMESPACE).metadata.resource_version
    for number in range(3):
        core.create_namespaced_config_map(NAMESPACE, config_map(f"w{number}"))
    seen = []
    watcher = watch.Watch()
    for event in watcher.stream(core.list_namespaced_config_map, NAMESPACE, resource_version=start, timeout_seconds=30):
        seen.append((event["type"], event["object"].metadata.name))
        last = event["object"].metadata.resource_version
        if len(seen) == 2:
            watcher.stop()
    # From where the first one stopped: neither a gap nor a duplicate.
    core.patch_namespaced_config_map("w0", NAMESPACE, {"data": {"x": "y"}})
    core.delete_namespaced_config_map("w1", NAMESPACE)
    resumed = watch.Watch()
    for event in resumed.stream(core.list_namespaced_config_map, NAMESPACE, resource_version=last, timeout_seconds=30):
        seen.append((event["type"], event["object"].metadata.name))
        if len(seen) == 5:
            resumed.stop()
    expect(seen == [("ADDED", "w0"), ("ADDED", "w1"), ("ADDED", "w2"), ("MODIFIED", "w0"), ("DELETED", "w1")], seen)
    # Without events it ends when it is told to.
    quiet = list(watch.Watch().stream(core.list_namespaced_secret, "default", field_selector="metadata.name=none",
                                      timeout_seconds=1))
    expect(not quiet, quiet)
    # A revision that is gone or nonsense is refused.
    try:
        list(watch.Watch().stream(core.list_namespaced_config_map, NAMESPACE, resource_version="x", timeout_seconds=1))
        raise AssertionError("a watch from nowhere was not refused")
    except ApiException as error:
        expect(error.status == 400, error)


def wait_for_pod(name, condition):
    watcher = watch.Watch()
    for event in watcher.stream(core.list_namespaced_pod, NAMESPACE, field_selector=f"metadata.name={name}",
                                timeout_seconds=120):
        if condition(event["object"]):
            watcher.stop()
            return event["object"]
    raise AssertionError(f"pod {name} did not get there: {core.read_namespaced_pod(name, NAMESPACE).status}")


def pods():
    script = ("for i in 1 2 3; do echo line $i; done; mkdir -p /www; echo served > /www/index.html; "
              "exec httpd -f -p 8080 -h /www")
    core.create_namespaced_pod(NAMESPACE, client.V1Pod(
        metadata=client.V1ObjectMeta(name="tool"),
        spec=client.V1PodSpec(restart_policy="Never", containers=[
            client.V1Container(name="tool", image="busybox", command=["sh", "-c", script])])))
    wait_for_pod("tool", lambda pod: any(
        c.type == "Ready" and c.status == "True" for c in pod.status.conditions or []))

    expect(core.read_namespaced_pod_log("tool", NAMESPACE) == "line 1\nline 2\nline 3\n", "log")
    expect(core.read_namespaced_pod_log("tool", NAMESPACE, tail_lines=1) == "line 3\n", "log tail")
    followed = core.read_namespaced_pod_log("tool", NAMESPACE, follow=True, _preload_content=False)
    expect(followed.readline() == b"line 1\n", "log follow")
    followed.close()

    out = stream(core.connect_get_namespaced_pod_exec, "tool", NAMESPACE, command=["echo", "hello"],
                 stdout=True, stderr=True, stdin=False, tty=False)
    expect(out == "hello\n", repr(out))
    session = stream(core.connect_get_namespaced_pod_exec, "tool", NAMESPACE,
                     command=["sh", "-c", "read word; echo got $word; echo oops >&2; exit 7"],
                     stdout=True, stderr=True, stdin=True, tty=False, _preload_content=False)
    session.write_stdin("typed\n")
    session.run_forever(timeout=30)
    expect(session.read_stdout() == "got typed\n", "exec stdout")
    expect(session.read_stderr() == "oops\n", "exec stderr")
    expect(session.returncode == 7, session.returncode)

    ports = portforward(core.connect_get_namespaced_pod_portforward, "tool", NAMESPACE, ports="8080")
    connection = ports.socket(8080)
    connection.setblocking(True)
    connection.sendall(b"GET /index.html HTTP/1.0\r\nHost: tool\r\n\r\n")
    answer = b""
    while chunk := connection.recv(65536):
        answer += chunk
    connection.close()
    expect(answer.endswith(b"served\n"), answer)
    expect(ports.error(8080) is None, ports.error(8080))

    core.delete_namespaced_pod("tool", NAMESPACE, grace_period_seconds=0)


try:
    crud()
    patches()
    watches()
    if "pods" in sys.argv[1:]:
        pods()
finally:
    core.delete_namespace(NAMESPACE)
print("all is well")
