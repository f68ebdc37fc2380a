/// The program of the container that holds a pod's namespaces open: a static ELF file, written here as
/// machine code, so that the one binary of Swiftlet needs no image from elsewhere.
///
/// It ignores SIGCHLD, which makes the kernel reap the orphans it inherits when a pod shares one process
/// namespace; blocks SIGTERM and SIGINT and waits for either of them; and exits with status 0.
public enum PauseProgram {
    /// An architecture, by the name OCI and Go use.
    public enum Architecture: String, Sendable, Hashable, CaseIterable {
        case amd64, arm64

        /// The machine this program was built for.
        public static var current: Architecture {
            #if arch(arm64)
                .arm64
            #else
                .amd64
            #endif
        }

        /// `e_machine` of the ELF header: EM_X86_64 or EM_AARCH64.
        var machine: UInt16 {
            switch self {
            case .amd64: 62
            case .arm64: 183
            }
        }
    }

    /// Where the file is mapped: the usual address of a fixed-position program.
    private static let base: UInt64 = 0x40_0000
    /// ELF header and one program header.
    private static let headerSize: UInt64 = 64 + 56

    /// The whole ELF file: header, one loadable segment (read and execute), code, data.
    public static func executable(_ architecture: Architecture) -> [UInt8] {
        elf(code(architecture) + data, architecture)
    }

    /// An ELF file around code (which begins at its first byte) and data.
    static func elf(_ content: [UInt8], _ architecture: Architecture) -> [UInt8] {
        let size = headerSize + UInt64(content.count)
        var file: [UInt8] = [0x7f, 0x45, 0x4c, 0x46, 2, 1, 1, 0] + [UInt8](repeating: 0, count: 8)
        func append(_ values: [any FixedWidthInteger]) {
            for value in values { file.append(contentsOf: littleEndianBytes(value)) }
        }
        // e_type EXEC, e_machine, e_version, e_entry, e_phoff, e_shoff, e_flags, e_ehsize, e_phentsize,
        // e_phnum, e_shentsize, e_shnum, e_shstrndx.
        append([
            UInt16(2), architecture.machine, UInt32(1), base + headerSize, UInt64(64), UInt64(0), UInt32(0),
        ])
        append([UInt16(64), UInt16(56), UInt16(1), UInt16(0), UInt16(0), UInt16(0)])
        // p_type LOAD, p_flags R+X, p_offset, p_vaddr, p_paddr, p_filesz, p_memsz, p_align.
        append([UInt32(1), UInt32(5), UInt64(0), base, base, size, size, UInt64(0x1000)])
        return file + content
    }

    /// struct sigaction as the kernel has it, with SIG_IGN (1) as handler and all else zero (32 bytes), and the
    /// signal set of SIGINT (2) and SIGTERM (15), whose bits are the number less one (8 bytes).
    private static let data: [UInt8] =
        littleEndianBytes(UInt64(1)) + [UInt8](repeating: 0, count: 24)
        + littleEndianBytes(UInt64(1 << 1 | 1 << 14))

    private static func code(_ architecture: Architecture) -> [UInt8] {
        switch architecture {
        case .amd64: amd64()
        case .arm64: arm64()
        }
    }

    /// System call numbers of x86-64: rt_sigaction 13, rt_sigprocmask 14, rt_sigtimedwait 128, exit_group 231.
    /// Arguments go in rdi, rsi, rdx, r10; the number in eax.
    private static func amd64() -> [UInt8] {
        func move(_ opcode: [UInt8], _ value: UInt32) -> [UInt8] { opcode + littleEndianBytes(value) }
        let eax: [UInt8] = [0xb8]
        let edi: [UInt8] = [0xbf]
        let esi: [UInt8] = [0xbe]
        let r10d: [UInt8] = [0x41, 0xba]
        let zeroEDX: [UInt8] = [0x31, 0xd2]
        let zeroEDI: [UInt8] = [0x31, 0xff]
        let syscall: [UInt8] = [0x0f, 0x05]
        let testEAX: [UInt8] = [0x85, 0xc0]

        func program(action: UInt32, set: UInt32) -> [UInt8] {
            // rt_sigaction(SIGCHLD, action, NULL, 8)
            let ignore = move(eax, 13) + move(edi, 17) + move(esi, action) + zeroEDX + move(r10d, 8) + syscall
            // rt_sigprocmask(SIG_BLOCK, set, NULL, 8)
            let block = move(eax, 14) + zeroEDI + move(esi, set) + zeroEDX + move(r10d, 8) + syscall
            // again: rt_sigtimedwait(set, NULL, NULL, 8); if the result is not positive, again
            var wait = move(eax, 128) + move(edi, set) + [0x31, 0xf6] + zeroEDX + move(r10d, 8) + syscall
            wait += testEAX + [0x7e, UInt8(bitPattern: Int8(-(wait.count + testEAX.count + 2)))]
            // exit_group(0)
            return ignore + block + wait + move(eax, 231) + zeroEDI + syscall
        }
        // The length does not depend on the addresses.
        let length = UInt32(program(action: 0, set: 0).count)
        let start = UInt32(base + headerSize)
        return program(action: start + length, set: start + length + 32)
    }

    /// System call numbers of arm64: rt_sigaction 134, rt_sigprocmask 135, rt_sigtimedwait 137, exit_group 94.
    /// Arguments go in x0 to x3, the number in x8.
    private static func arm64() -> [UInt8] {
        /// movz x<register>, #value
        func move(_ register: UInt32, _ value: UInt32) -> UInt32 { 0xd280_0000 | value << 5 | register }
        /// movk x<register>, #value, lsl #16
        func moveHigh(_ register: UInt32, _ value: UInt32) -> UInt32 { 0xf2a0_0000 | value << 5 | register }
        let supervisorCall: UInt32 = 0xd400_0001

        func program(action: UInt32, set: UInt32) -> [UInt32] {
            func address(_ register: UInt32, _ value: UInt32) -> [UInt32] {
                [move(register, value & 0xffff), moveHigh(register, value >> 16)]
            }
            let ignore =
                [move(0, 17)] + address(1, action) + [move(2, 0), move(3, 8), move(8, 134), supervisorCall]
            let block =
                [move(0, 0)] + address(1, set) + [move(2, 0), move(3, 8), move(8, 135), supervisorCall]
            var wait = address(0, set) + [move(1, 0), move(2, 0), move(3, 8), move(8, 137), supervisorCall]
            // cmp w0, #0; b.le back to the start of `wait` (a signed offset in instructions, 19 bits)
            wait.append(0x7100_001f)
            wait.append(0x5400_000d | (UInt32(bitPattern: -Int32(wait.count)) & 0x7_ffff) << 5)
            return ignore + block + wait + [move(0, 0), move(8, 94), supervisorCall]
        }
        let length = UInt32(program(action: 0, set: 0).count) * 4
        // The data is read as 64-bit words; keep it aligned.
        let padding = (8 - length % 8) % 8
        let start = UInt32(base + headerSize) + length + padding
        let instructions = program(action: start, set: start + 32)
        return instructions.flatMap { littleEndianBytes($0) } + [UInt8](repeating: 0, count: Int(padding))
    }
}

/// The bytes of an integer, least significant first.
func littleEndianBytes(_ value: some FixedWidthInteger) -> [UInt8] {
    withUnsafeBytes(of: value.littleEndian) { Array($0) }
}
