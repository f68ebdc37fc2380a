#!/bin/bash
# What `swiftlet status` says of a node that lags: a second node, in a network of its own, whose proxy is stopped
# while a Service comes. The cluster runs already; $1 is a folder for what is needed meanwhile.
set -euo pipefail
folder=$1

fail() { echo "lagging proxy: $*" >&2; cat "$folder/proxy.log" >&2; exit 1; }

# eventually COMMAND…: runs it until it succeeds.
eventually() {
    local deadline=$((SECONDS + 120))
    until "$@" > "$folder/last" 2>&1; do
        ((SECONDS < deadline)) || { cat "$folder/last" >&2; "$SWIFTLET" status >&2; fail "gave up: $*"; }
    done
}

cleanup() {
    local status=$?
    set +e
    [[ -z ${proxy:-} ]] || { kill -CONT "$proxy"; kill "$proxy"; }
    [[ -z ${holder:-} ]] || kill "$holder"
    kubectl delete service/lagging node/far --ignore-not-found > /dev/null
    kubectl delete lease far -n kube-node-lease --ignore-not-found > /dev/null
    ip link delete far0
    wait
    exit $status
} 2> /dev/null
trap cleanup EXIT

# The other node: a network namespace at the end of a wire.
unshare --net sleep infinity &
holder=$!
is_apart() { [[ $(readlink "/proc/$holder/ns/net") != "$(readlink /proc/self/ns/net)" ]]; }
eventually is_apart
ip link add far0 type veth peer name far1
ip link set far1 netns $holder
ip address add 10.251.0.1/30 dev far0
ip link set far0 up
inside=(nsenter "--net=/proc/$holder/ns/net")
"${inside[@]}" ip link set lo up
"${inside[@]}" ip address add 10.251.0.2/30 dev far1
"${inside[@]}" ip link set far1 up
"${inside[@]}" ip route add default via 10.251.0.1

address=$(kubectl get nodes -o jsonpath='{.items[0].status.addresses[?(@.type=="InternalIP")].address}')
kubectl config view --raw --minify --flatten | sed "s#https://[^:]*:#https://$address:#" > "$folder/kubeconfig"
kubectl create -f - << 'MANIFEST'
apiVersion: v1
kind: Node
metadata: {name: far}
---
apiVersion: coordination.k8s.io/v1
kind: Lease
metadata: {name: far, namespace: kube-node-lease}
MANIFEST
kubectl patch node far --subresource=status \
    -p '{"status":{"addresses":[{"type":"InternalIP","address":"10.251.0.2"}]}}'
"${inside[@]}" "$SWIFTLET" proxy --kubeconfig "$folder/kubeconfig" --node-name far > "$folder/proxy.log" 2>&1 &
proxy=$!

says() { "$SWIFTLET" status | grep -E "^proxy far +$1"; }
eventually says 'in step, Services at revision [0-9]+'
kill -STOP $proxy
kubectl create service clusterip lagging --tcp=80
eventually says 'behind by .*\(.*default/lagging'
"$SWIFTLET" status | grep -vE '^proxy far ' | grep -qE '^proxy ' || fail "nothing is said of the other node"
kill -CONT $proxy
eventually says 'in step'
echo "it lagged, and caught up"
