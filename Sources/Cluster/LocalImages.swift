import ContainerRuntime
import Logging

/// The images that `swiftlet image` deals with: the folder that containers are started from first.
public struct LocalImages: Sendable {
    private let folder: ImageFolder

    /// - Throws: `ContainerRuntimeError` if the folder cannot be made.
    public init(_ configuration: ClusterConfiguration) throws {
        folder = try ImageFolder(
            path: configuration.imageDirectory, logger: Logger(label: "swiftlet.images"))
    }

    /// Takes the images in an archive and returns their names.
    ///
    /// - Throws: `ContainerRuntimeError` if the file is no image archive.
    public func load(_ archive: String) throws -> [String] {
        try folder.load(archive)
    }

    /// A line an image, as `image list` prints it.
    public func table() -> String {
        let rows = folder.images().map { [$0.reference, String($0.digest.prefix(19)), Self.size($0.size)] }
        return TextTable(columns: ["IMAGE", "DIGEST", "SIZE"], rows: rows).text
    }

    static func size(_ bytes: Int) -> String {
        let units = ["B", "kB", "MB", "GB"]
        var value = Double(bytes)
        var unit = 0
        while value >= 1000, unit < units.count - 1 {
            value /= 1000
            unit += 1
        }
        let tenths = Int((value * 10).rounded())
        return unit == 0 ? "\(bytes) B" : "\(tenths / 10).\(tenths % 10) \(units[unit])"
    }
}

/// Columns of text, aligned with three blanks between them as kubectl does it.
struct TextTable {
    var columns: [String]
    var rows: [[String]]

    var text: String {
        let lines = [columns] + rows
        let widths = columns.indices.map { column in lines.map { $0[column].count }.max() ?? 0 }
        return lines.map { line in
            var text = ""
            for (column, cell) in line.enumerated() {
                text += cell
                if column < line.count - 1 {
                    text += String(repeating: " ", count: widths[column] - cell.count + 3)
                }
            }
            return text
        }.joined(separator: "\n")
    }
}
