#!/bin/bash
# `swiftlet proxy` as a process of its own, against `swiftlet apiserver` over HTTPS. Runs in a network of its own
# (unshare --net) and leaves nothing: $1 is a folder for what it needs meanwhile.
set -euo pipefail
folder=$1
export KUBECONFIG=$folder/state/server/admin.kubeconfig
port=7443

fail() { echo "standalone proxy: $*" >&2; cat "$folder"/*.log >&2; exit 1; }

# eventually COMMAND…: runs it until it succeeds.
eventually() {
    local deadline=$((SECONDS + 120))
    until "$@" > "$folder/last" 2>&1; do
        ((SECONDS < deadline)) || { cat "$folder/last" >&2; fail "gave up: $*"; }
    done
}

cleanup() {
    local status=$?
    set +e
    [[ -z ${proxy:-} ]] || kill -CONT "$proxy" 2> /dev/null
    kill $(jobs -p) 2> /dev/null
    wait
    exit $status
}
trap cleanup EXIT

ip link set lo up
ip address add 10.250.0.1/32 dev lo
mkdir -p "$folder/www"
echo served > "$folder/www/index.html"
busybox httpd -f -p 10.250.0.1:3000 -h "$folder/www" 2> "$folder/httpd.log" &

"$SWIFTLET" apiserver --data-dir "$folder/state" --port $port > "$folder/apiserver.log" 2>&1 &
eventually kubectl get --raw /readyz

kubectl create -f - << 'MANIFEST'
apiVersion: v1
kind: Node
metadata: {name: worker, labels: {topology.kubernetes.io/zone: east}}
MANIFEST
kubectl patch node worker --subresource=status \
    -p '{"status":{"addresses":[{"type":"InternalIP","address":"10.250.0.1"}]}}'
kubectl create -f - << 'MANIFEST'
apiVersion: coordination.k8s.io/v1
kind: Lease
metadata: {name: worker, namespace: kube-node-lease}
MANIFEST

# service NAME ADDRESS: a Service with one endpoint that is ready and one that is not.
service() {
    kubectl create -f - << MANIFEST
apiVersion: v1
kind: Service
metadata: {name: $1}
spec: {clusterIP: $2, ports: [{port: 80}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: $1-1, labels: {kubernetes.io/service-name: $1}}
addressType: IPv4
ports: [{name: "", port: 3000}]
endpoints:
- {addresses: [10.250.0.1], nodeName: worker, conditions: {ready: true}}
- {addresses: [10.250.0.2], nodeName: other, conditions: {ready: false}}
MANIFEST
}

serves() { [[ $(curl --silent --max-time 2 "http://$1/") == served ]]; }
listed() {
    kubectl get --raw /metrics |
        awk '/^apiserver_request_total{/ && /resource="services"/ && /verb="LIST"/ { sum += $NF } END { print sum + 0 }'
}

service web 10.96.0.50
"$SWIFTLET" proxy --kubeconfig "$KUBECONFIG" --node-name worker > "$folder/proxy.log" 2>&1 &
proxy=$!
eventually serves 10.96.0.50
echo "the Service answers"

# What people and machines ask it.
drawing=$("$SWIFTLET" proxy --kubeconfig "$KUBECONFIG" --node-name worker --dump)
grep -q '^default/web$' <<< "$drawing" || fail "no Service in: $drawing"
grep -q '10.96.0.50:80/TCP (cluster IP) -> 1 endpoint' <<< "$drawing" || fail "no address in: $drawing"
grep -q '+ 10.250.0.1:3000  this node: ready' <<< "$drawing" || fail "no endpoint in: $drawing"
grep -q -- '- 10.250.0.2:3000  node other: not ready' <<< "$drawing" || fail "no endpoint out: $drawing"
curl --silent --fail http://127.0.0.1:10256/healthz | grep -q '"nodeEligible":true' || fail "not healthy"
curl --silent --fail http://127.0.0.1:10249/metrics > "$folder/metrics"
for name in 'network_programming_duration_seconds_count{ip_family="IPv4"}' \
    'sync_proxy_rules_duration_seconds_count{ip_family="IPv4"}' \
    'sync_proxy_rules_last_timestamp_seconds{ip_family="IPv4"}' \
    'sync_proxy_rules_last_queued_timestamp_seconds{ip_family="IPv4"}' \
    'conntrack_reconciler_sync_duration_seconds_count{ip_family="IPv4"}' \
    'sync_proxy_rules_no_local_endpoints_total{traffic_policy="external",ip_family="IPv4"}' \
    sync_proxy_rules_endpoint_changes_total sync_proxy_rules_service_changes_total; do
    grep -q "^kubeproxy_$name " "$folder/metrics" || fail "no kubeproxy_$name"
done
echo "it tells about itself"

# How far the kernel is, for other nodes to watch.
published() {
    local revision confirmed
    revision=$(kubectl get service "$1" -o jsonpath='{.metadata.resourceVersion}')
    confirmed=$(kubectl get lease worker -n kube-node-lease \
        -o jsonpath='{.metadata.annotations.swiftlet\.local/data-plane-services}')
    ((${confirmed:-0} >= revision))
}
eventually published web
echo "its revision is published"

# It sleeps, more happens than the server keeps, and its watch is told 410: it lists anew.
before=$(listed)
kill -STOP $proxy
python3 - "$folder/many.json" << 'PYTHON'
import json, sys
items = [{"apiVersion": "v1", "kind": "Service", "metadata": {"name": f"big-{n}", "annotations": {"a": "x" * 250000}},
          "spec": {"clusterIP": "None", "ports": [{"port": 80}]}} for n in range(150)]
json.dump({"apiVersion": "v1", "kind": "List", "items": items}, open(sys.argv[1], "w"))
PYTHON
kubectl create -f "$folder/many.json" > /dev/null
kubectl delete -f "$folder/many.json" > /dev/null
kubectl delete service/web endpointslice/web-1
service next 10.96.0.51
kill -CONT $proxy
eventually serves 10.96.0.51
! serves 10.96.0.50 || fail "a Service that is gone answers"
after=$(listed)
((after > before)) || fail "it has not listed anew: $before, $after"
echo "it listed anew after 410"

# The range grows, and the route with it.
kubectl create -f - << 'MANIFEST'
apiVersion: networking.k8s.io/v1
kind: ServiceCIDR
metadata: {name: more}
spec: {cidrs: [10.97.0.0/24]}
MANIFEST
service far 10.97.0.7
eventually serves 10.97.0.7
serves 10.96.0.51 || fail "the first range is not served any more"
ip route get 10.97.0.99 | grep -q swiftlet0 || fail "no route: $(ip route)"
echo "it follows the range"

# It ends, and what it made goes on until it is removed.
kill $proxy
wait $proxy || fail "it ended badly"
serves 10.97.0.7 || fail "the tables went with the process"
"$SWIFTLET" proxy --cleanup
! nft list tables | grep -q swiftlet || fail "left: $(nft list tables)"
! ip link show swiftlet0 2> /dev/null || fail "the interface is left"
! ip route show table all | grep -q 'proto 83' || fail "left: $(ip route show table all)"
echo "nothing is left"
