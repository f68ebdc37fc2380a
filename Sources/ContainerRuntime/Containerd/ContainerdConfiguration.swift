/// Where containerd keeps its things, and the configuration file that says so.
///
/// Every path is our own, so that a containerd of the machine (Docker's, for example) is not disturbed.
public struct ContainerdConfiguration: Sendable, Hashable {
    /// Persistent data: images, snapshots, metadata.
    public var stateDirectory: String
    /// What lasts until a reboot: the sockets and the shims' state. Keep it short: a unix socket's path ends
    /// at 107 bytes.
    public var runDirectory: String
    /// Where containerd's output goes.
    public var logFile: String
    /// Folders with CNI plugins.
    public var cniPluginDirectories: [String]
    /// The folder with the one CNI network configuration.
    public var cniConfigurationDirectory: String
    /// The image of the container that holds a sandbox's namespaces.
    public var sandboxImage: String
    /// AppArmor profiles are loaded into the kernel only where it has AppArmor.
    public var disablesAppArmor: Bool

    public init(
        stateDirectory: String, runDirectory: String, logFile: String,
        cniPluginDirectories: [String] = ["/usr/lib/cni", "/opt/cni/bin"],
        cniConfigurationDirectory: String, sandboxImage: String = PauseImage.reference,
        disablesAppArmor: Bool? = nil
    ) {
        self.stateDirectory = stateDirectory
        self.runDirectory = runDirectory
        self.logFile = logFile
        self.cniPluginDirectories = cniPluginDirectories
        self.cniConfigurationDirectory = cniConfigurationDirectory
        self.sandboxImage = sandboxImage
        self.disablesAppArmor = disablesAppArmor ?? !Files.exists("/sys/kernel/security/apparmor")
    }

    /// The gRPC socket.
    public var socketPath: String { "\(runDirectory)/containerd.sock" }
    /// The configuration file.
    package var configurationPath: String { "\(runDirectory)/containerd.toml" }
    /// Written when containerd is started: its process id, for the next life of ours.
    package var processFile: String { "\(runDirectory)/containerd.pid" }
    /// How to reach image registries, read by containerd at each pull.
    package var registryDirectory: String { "\(runDirectory)/certs.d" }
    /// The OCI runtime's state, apart from other users of runc on the machine.
    package var ociRuntimeRoot: String { "\(runDirectory)/oci" }

    /// The first folder of `cniPluginDirectories` that has the plugin we configure.
    package var cniPluginDirectory: String {
        cniPluginDirectories.first { Files.exists("\($0)/host-local") } ?? cniPluginDirectories.first ?? ""
    }

    /// The configuration file's text (TOML, `version = 2`, understood by containerd 1.6 and 1.7).
    ///
    /// - `restrict_oom_score_adj`: without CAP_SYS_RESOURCE a lower score than our own cannot be set, and each
    ///   pod would fail with a misleading pipe error.
    /// - `stream_server_address`: exec, attach and port-forward are reached from this process only.
    /// - `netns_mounts_under_state_dir`: a pod whose start was cut off leaves its network namespace where
    ///   `RuntimeRemains` finds it, and not among those of others.
    /// - the disabled plugins need kernel modules or services that we do not use; the others stay, since CRI
    ///   refuses to start without some of them.
    package func toml(ociRuntime: String) -> String {
        """
        # Written by swiftlet at each start of containerd; changes are lost.
        version = 2
        root = \(quoted(stateDirectory))
        state = \(quoted("\(runDirectory)/state"))
        disabled_plugins = [
          "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs",
          "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs",
          "io.containerd.tracing.processor.v1.otlp", "io.containerd.internal.v1.tracing"
        ]

        [grpc]
          address = \(quoted(socketPath))
          max_recv_message_size = 67108864
          max_send_message_size = 67108864

        [ttrpc]
          address = \(quoted(socketPath + ".ttrpc"))

        [plugins."io.containerd.internal.v1.opt"]
          path = \(quoted("\(stateDirectory)/opt"))

        [plugins."io.containerd.grpc.v1.cri"]
          sandbox_image = \(quoted(sandboxImage))
          stream_server_address = "127.0.0.1"
          stream_server_port = "0"
          enable_tls_streaming = false
          disable_apparmor = \(disablesAppArmor)
          restrict_oom_score_adj = true
          max_concurrent_downloads = 4
          netns_mounts_under_state_dir = true

          [plugins."io.containerd.grpc.v1.cri".containerd]
            snapshotter = "overlayfs"
            default_runtime_name = "default"
            disable_snapshot_annotations = true

            [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.default]
              runtime_type = "io.containerd.runc.v2"

              [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.default.options]
                BinaryName = \(quoted(ociRuntime))
                Root = \(quoted(ociRuntimeRoot))
                SystemdCgroup = false

          [plugins."io.containerd.grpc.v1.cri".cni]
            bin_dir = \(quoted(cniPluginDirectory))
            conf_dir = \(quoted(cniConfigurationDirectory))
            max_conf_num = 1

          [plugins."io.containerd.grpc.v1.cri".registry]
            config_path = \(quoted(registryDirectory))

        """
    }

    /// `certs.d/_default/hosts.toml`: ask our own registry first, then, since no `server` is named, the real one.
    package func registryHosts(port: Int) -> String {
        """
        # Written by swiftlet at each start; changes are lost.
        [host."http://127.0.0.1:\(port)"]
          capabilities = ["pull", "resolve"]

        """
    }

    /// A TOML basic string.
    private func quoted(_ text: String) -> String {
        var result = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": result += "\\\""
            case "\\": result += "\\\\"
            case _ where scalar.value < 0x20 || scalar.value == 0x7f:
                let hex = String(scalar.value, radix: 16)
                result += "\\u" + String(repeating: "0", count: 4 - hex.count) + hex
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result + "\""
    }
}
