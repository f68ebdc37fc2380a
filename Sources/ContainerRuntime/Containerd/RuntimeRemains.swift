import CLinux
import Glibc

/// What a container runtime leaves behind when it is stopped for good, and its removal.
public enum RuntimeRemains {
    /// Ends the shims whose containers' state is below a folder, then unmounts all that is mounted below it
    /// (shell: `awk '$5 ~ "^/folder/" {print $5}' /proc/self/mountinfo | tac | xargs umount -l`).
    public static func remove(below folder: String) {
        for pid in processes(mentioning: "\(folder)/") { kill(pid, SIGKILL) }
        for mount in mounts(below: folder).reversed() { _ = swiftlet_unmount_lazily(mount) }
    }

    /// The mount points below a folder, in the order they were mounted.
    package static func mounts(below folder: String) -> [String] {
        guard let table = Files.text("/proc/self/mountinfo") else { return [] }
        return table.split(separator: "\n").compactMap { line in
            let fields = line.split(separator: " ")
            guard fields.count > 4 else { return nil }
            let path = unescape(fields[4])
            return path.hasPrefix(folder + "/") ? path : nil
        }
    }

    /// Shims name our socket in their arguments or environment; nothing else of the machine does.
    private static func processes(mentioning text: String) -> [Int32] {
        Files.list("/proc").compactMap { Int32($0) }.filter { pid in
            guard pid != getpid(), Files.text("/proc/\(pid)/comm")?.hasPrefix("containerd-shim") == true,
                let arguments = try? Files.read("/proc/\(pid)/cmdline")
            else { return false }
            return String(decoding: arguments, as: UTF8.self).contains(text)
        }
    }

    /// mountinfo writes space, tab, newline and backslash as three octal digits.
    private static func unescape(_ field: Substring) -> String {
        var bytes: [UInt8] = []
        var rest = field.utf8[...]
        while let byte = rest.popFirst() {
            let digits = rest.prefix(3)
            if byte == UInt8(ascii: "\\"), digits.count == 3,
                let value = UInt8(String(decoding: digits, as: UTF8.self), radix: 8)
            {
                bytes.append(value)
                rest = rest.dropFirst(3)
            } else {
                bytes.append(byte)
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
