import APILoad
import BenchmarkSupport
import Glibc

/// What `curl http://web` inside a pod spends on names: a whole cluster, a pod, and Debian's curl with its libc in
/// the pod's network, under the pod's resolv.conf and hosts file.
struct NamesOfCurl {
    /// Milliseconds.
    private(set) var samples = Samples()

    init(images: String, rounds: Int = 300) throws {
        let swiftlet = APIProcess.program
        try Command([swiftlet, "up", "--detach"]).run()
        for image in ["web_1.0", "busybox_latest"] {
            try Command([swiftlet, "image", "load", "\(images)/\(image).oci.tar"]).run()
        }
        try Command(["bash", "-euc", Self.objects]).run()
        var refused = 0
        try Command(["bash", "-euc", Self.curls, "curls", String(rounds)]).run { line in
            let words = line.split(separator: " ")
            guard words.count == 2, words[1] == "200", let seconds = Double(words[0]) else {
                refused += 1
                return
            }
            samples.add(seconds * 1000)
        }
        try Command([swiftlet, "down", "--purge"]).run()
        guard refused == 0 else {
            throw Command.Failure(
                description: "Expected \(rounds) answers of http://web, \(refused) were none.")
        }
    }

    private static let objects = """
        {
            kubectl create deployment web --image=web:1.0 --replicas=3
            kubectl expose deployment web --port=80 --target-port=3000
            kubectl run client --image=busybox --restart=Never -- sleep 86398
            kubectl wait --for=condition=Ready pod/client --timeout=120s
            kubectl rollout status deployment/web --timeout=120s
        } > /dev/null
        """

    /// Files of another mount namespace cannot be mounted here, so they are copied.
    private static let curls = """
        pod=$(pgrep --full --exact 'sleep 86398')
        exec nsenter --net=/proc/$pod/ns/net unshare --mount bash -euc '
            for file in resolv.conf hosts; do
                cat "/proc/$1/root/etc/$file" > "/run/pod-$file"
                mount --bind "/run/pod-$file" "/etc/$file"
            done
            for ((round = 0; round < $2; round++)); do
                curl --silent --output /dev/null --write-out "%{time_namelookup} %{http_code}\\n" http://web
            done' inside "$pod" "$1"
        """
}
