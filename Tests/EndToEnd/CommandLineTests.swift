import Testing

extension EndToEndTests {
    @Suite("The command line", .serialized)
    struct CommandLineTests {
        private let swiftlet = Cluster.swiftlet

        @Test("version and help")
        func help() async throws {
            #expect(try await expect("\(swiftlet) version").output.contains("speaks Kubernetes v1.35"))
            for command in [
                "up", "down", "status", "kubeconfig", "image load", "image list", "apiserver", "version",
            ] {
                let help = try await expect("\(swiftlet) \(command) --help").output
                #expect(help.contains("EXAMPLE"), "\(command) --help shows no example")
            }
        }

        @Test("kubectl sees v1.35")
        func serverVersion() async throws {
            try await Cluster.shared.up()
            #expect(try await expect("kubectl version").output.contains("Server Version: v1.35."))
        }

        @Test("status tells how it is")
        func status() async throws {
            try await Cluster.shared.up()
            let status = try await expect("\(swiftlet) status").output
            #expect(status.contains("running"))
            #expect(status.contains("Ready"))
        }

        @Test("A second cluster on the same machine is refused, and the first goes on")
        func twice() async throws {
            try await Cluster.shared.up()
            let second = try await Shell.run("\(swiftlet) up --detach")
            #expect(second.status != 0)
            #expect(second.error.contains("swiftlet down"), "\(second)")
            try await expect("kubectl get nodes")
        }

        @Test("kubeconfig: the context is merged, and a file of its own works")
        func kubeconfig() async throws {
            try await Cluster.shared.up()
            #expect(try await expect("kubectl config current-context").output == "swiftlet\n")
            try await expect("\(swiftlet) kubeconfig > /tmp/own.kubeconfig")
            try await expect("KUBECONFIG=/tmp/own.kubeconfig kubectl get nodes")
        }

        @Test("image list shows what was loaded")
        func images() async throws {
            try await Cluster.shared.up()
            let list = try await expect("\(swiftlet) image list").output
            #expect(list.contains("docker.io/library/web:1.0"))
            #expect(list.contains("docker.io/library/busybox:latest"))
        }

        @Test("An ordinary user is told to use sudo, and nothing is left behind")
        func notRoot() async throws {
            let outcome = try await Shell.run(
                "cp \(swiftlet) /tmp/swiftlet-copy && chmod 755 /tmp/swiftlet-copy && "
                    + "setpriv --reuid=65534 --regid=65534 --clear-groups /tmp/swiftlet-copy up --run /tmp/none/run --state /tmp/none/state"
            )
            #expect(outcome.status != 0)
            #expect(outcome.error.contains("sudo"), "\(outcome)")
            try await expect("test ! -e /tmp/none")
        }
    }

    @Suite("Down", .serialized)
    struct DownTests {
        private let swiftlet = Cluster.swiftlet

        @Test(
            "Nothing is left: no process, interface, table, mount or context; a busy port and a missing program say so"
        )
        func down() async throws {
            try await Cluster.shared.up()
            try await expect("kubectl create deployment left --image=busybox --replicas=2 -- sleep 1000")
            try await expect("kubectl rollout status deployment/left --timeout=60s")
            try await expect("\(swiftlet) down")
            await Cluster.shared.isDown()
            try await nothingIsLeft()
            #expect(try await Shell.run("kubectl config get-contexts swiftlet").status != 0)
            #expect(try await Shell.run("\(swiftlet) status").status != 0)

            // Refusals leave nothing behind either.
            let busy = try await Shell.run(
                "python3 -m http.server 6443 --bind 127.0.0.1 >/dev/null 2>&1 & server=$!; "
                    + "until curl --silent http://127.0.0.1:6443/ >/dev/null; do :; done; "
                    + "\(swiftlet) up --detach; status=$?; kill $server; exit $status")
            #expect(busy.status != 0)
            #expect(busy.error.contains("port 6443"), "\(busy)")
            let missing = try await Shell.run(
                "unshare -m bash -c 'mount --bind /dev/null $(command -v containerd) && \(swiftlet) up --detach'"
            )
            #expect(missing.status != 0)
            #expect(missing.error.contains("apt-get install containerd"), "\(missing)")
            try await nothingIsLeft()

            // What was stored came through.
            try await expect("\(swiftlet) up --detach")
            try await expect("kubectl rollout status deployment/left --timeout=120s")
            try await expect("\(swiftlet) down --purge")
            try await nothingIsLeft()
            #expect(try await Shell.run("find /var/lib/swiftlet -mindepth 1 2>/dev/null").output == "")
        }

        private func nothingIsLeft() async throws {
            #expect(try await Shell.run("pgrep -a containerd").output == "")
            #expect(try await Shell.run("grep -E '/(run|var/lib)/swiftlet/' /proc/self/mounts").output == "")
            #expect(try await Shell.run("ip -brief link | grep -vE '^(lo|node0|nowhere0)[ @]'").output == "")
            #expect(try await Shell.run("nft list tables 2>/dev/null").output == "")
            #expect(try await Shell.run("ip route | grep -E '10\\.(96|244)\\.'").output == "")
            #expect(try await Shell.run("find /run/netns -mindepth 1 2>/dev/null").output == "")
        }
    }
}
