import Glibc

/// A tar archive, read without unpacking: which member lies where.
///
/// Understands ustar, GNU long names and pax paths and sizes, which is what image tools write.
package struct TarArchive: Sendable {
    package enum Kind: Sendable, Hashable {
        case file
        case link(to: String)
        case other
    }
    package struct Member: Sendable, Hashable {
        package var kind: Kind
        /// Where the content begins in the archive, in bytes.
        package var offset: Int
        /// The content's length in bytes.
        package var size: Int
    }

    package private(set) var members: [String: Member] = [:]

    /// Reads the headers with `read(offset, count)`, which may return fewer bytes at the end of the archive.
    package init(
        size: Int, read: (_ offset: Int, _ count: Int) throws(ContainerRuntimeError) -> [UInt8]
    ) throws(ContainerRuntimeError) {
        var offset = 0
        var longName: String?
        var paxSize: Int?
        while offset + 512 <= size {
            let header = try read(offset, 512)
            guard header.count == 512 else { break }
            if header.allSatisfy({ $0 == 0 }) { break }
            guard Self.checksumHolds(header) else {
                throw ContainerRuntimeError(
                    .badArchive, "No tar archive, or a damaged one: bad header at byte \(offset).")
            }
            guard var length = Self.number(header[124..<136]), length >= 0 else {
                throw ContainerRuntimeError(.badArchive, "A damaged tar archive: bad size at byte \(offset).")
            }
            let type = header[156]
            let isExtension =
                type == UInt8(ascii: "L") || type == UInt8(ascii: "x") || type == UInt8(ascii: "g")
            if !isExtension, let size = paxSize { length = size }
            let start = offset + 512
            guard length <= size - start else {
                throw ContainerRuntimeError(
                    .badArchive,
                    "The tar archive is cut short: a member of \(length) bytes at byte \(offset).")
            }
            switch type {
            case UInt8(ascii: "L"):
                longName = Self.text(try read(start, min(length, 1 << 16))[...])
            case UInt8(ascii: "x"):
                let records = Self.paxRecords(try read(start, min(length, 1 << 20)))
                longName = records["path"] ?? longName
                paxSize = records["size"].flatMap { Int($0) }.flatMap { $0 >= 0 ? $0 : nil }
            case UInt8(ascii: "g"):
                break
            default:
                let name = Self.normalize(longName ?? Self.name(header))
                let kind: Kind
                switch type {
                case 0, UInt8(ascii: "0"): kind = .file
                case UInt8(ascii: "1"): kind = .link(to: Self.normalize(Self.text(header[157..<257])))
                case UInt8(ascii: "2"):
                    kind = .link(to: Self.resolve(Self.text(header[157..<257]), from: name))
                default: kind = .other
                }
                members[name] = Member(kind: kind, offset: start, size: length)
                longName = nil
                paxSize = nil
            }
            offset = start + (length + 511) / 512 * 512
        }
    }

    /// The member of that name; links are followed a few steps.
    package func file(_ name: String) -> Member? {
        var name = Self.normalize(name)
        for _ in 0..<8 {
            guard let member = members[name] else { return nil }
            switch member.kind {
            case .file: return member
            case .link(let target): name = target
            case .other: return nil
            }
        }
        return nil
    }

    // MARK: - Headers

    private static func checksumHolds(_ header: [UInt8]) -> Bool {
        guard let stored = number(header[148..<156]) else { return false }
        var sum = 0
        for (index, byte) in header.enumerated() { sum += 148..<156 ~= index ? 32 : Int(byte) }
        return sum == stored
    }

    /// An octal number in text, or a big-endian binary one when the first bit is set (GNU).
    private static func number(_ field: ArraySlice<UInt8>) -> Int? {
        if let first = field.first, first & 0x80 != 0 {
            var value = Int(first & 0x7f)
            for byte in field.dropFirst() {
                guard value < 1 << 48 else { return nil }
                value = value << 8 | Int(byte)
            }
            return value
        }
        let digits = field.drop { $0 == 32 }.prefix { $0 != 32 && $0 != 0 }
        if digits.isEmpty { return 0 }
        return Int(String(decoding: digits, as: UTF8.self), radix: 8)
    }

    private static func text(_ field: ArraySlice<UInt8>) -> String {
        String(decoding: field.prefix { $0 != 0 }, as: UTF8.self)
    }

    private static func name(_ header: [UInt8]) -> String {
        let name = text(header[0..<100])
        let prefix = text(header[257..<262]) == "ustar" ? text(header[345..<500]) : ""
        return prefix.isEmpty ? name : "\(prefix)/\(name)"
    }

    /// `LENGTH KEY=VALUE\n`, repeated.
    private static func paxRecords(_ bytes: [UInt8]) -> [String: String] {
        var records: [String: String] = [:]
        var rest = bytes[...]
        while let space = rest.firstIndex(of: 32),
            let length = Int(String(decoding: rest[..<space], as: UTF8.self)),
            length > space - rest.startIndex + 1, length <= rest.count
        {
            let record = rest[(space + 1)..<(rest.startIndex + length - 1)]
            if let equals = record.firstIndex(of: UInt8(ascii: "=")) {
                let key = String(decoding: record[..<equals], as: UTF8.self)
                records[key] = String(decoding: record[(equals + 1)...], as: UTF8.self)
            }
            rest = rest[(rest.startIndex + length)...]
        }
        return records
    }

    private static func normalize(_ name: String) -> String {
        var parts: [Substring] = []
        for part in name.split(separator: "/") where part != "." {
            if part == ".." { _ = parts.popLast() } else { parts.append(part) }
        }
        return parts.joined(separator: "/")
    }

    private static func resolve(_ target: String, from name: String) -> String {
        if target.hasPrefix("/") { return normalize(target) }
        let folder = name.split(separator: "/").dropLast().joined(separator: "/")
        return normalize("\(folder)/\(target)")
    }

    // MARK: - Writing

    /// An archive of plain files, in the order given.
    package static func make(_ files: [(name: String, mode: Int, content: [UInt8])]) -> [UInt8] {
        var archive: [UInt8] = []
        for file in files {
            archive += header(file.name, mode: file.mode, size: file.content.count)
            archive += file.content
            archive += [UInt8](repeating: 0, count: (512 - file.content.count % 512) % 512)
        }
        return archive + [UInt8](repeating: 0, count: 1024)
    }

    private static func header(_ name: String, mode: Int, size: Int) -> [UInt8] {
        var header = [UInt8](repeating: 0, count: 512)
        func put(_ text: String, at offset: Int, limit: Int) {
            for (index, byte) in text.utf8.prefix(limit).enumerated() { header[offset + index] = byte }
        }
        func octal(_ value: Int, digits: Int) -> String {
            let text = String(value, radix: 8)
            return String(repeating: "0", count: max(0, digits - text.count)) + text
        }
        put(name, at: 0, limit: 100)
        put(octal(mode, digits: 7), at: 100, limit: 7)
        put(octal(0, digits: 7), at: 108, limit: 7)
        put(octal(0, digits: 7), at: 116, limit: 7)
        put(octal(size, digits: 11), at: 124, limit: 11)
        put(octal(0, digits: 11), at: 136, limit: 11)
        put("        ", at: 148, limit: 8)
        put(name.hasSuffix("/") ? "5" : "0", at: 156, limit: 1)
        put("ustar", at: 257, limit: 5)
        put("00", at: 263, limit: 2)
        let sum = header.reduce(0) { $0 + Int($1) }
        put(octal(sum, digits: 6), at: 148, limit: 6)
        header[154] = 0
        return header
    }
}
