import KubernetesAPI

/// The label that tells the pods of one template from those of another.
let podTemplateHashLabel = "pod-template-hash"

extension PodTemplateSpec {
    /// Whether two templates would make the same pod, the hash label apart.
    package func makesSamePod(as other: PodTemplateSpec) -> Bool {
        var (a, b) = (self, other)
        a.metadata.labels[podTemplateHashLabel] = nil
        b.metadata.labels[podTemplateHashLabel] = nil
        return a == b
    }

    /// A short name for this template: FNV-1a over its JSON, spelt in letters and digits that form no words.
    ///
    /// - Parameter collisions: `status.collisionCount`; counts up when two templates share a hash.
    package func hash(collisions: Int?) -> String {
        var hash: UInt32 = 2_166_136_261
        func mix(_ byte: UInt8) {
            hash = (hash ^ UInt32(byte)) &* 16_777_619
        }
        json().forEach(mix)
        if let collisions { String(collisions).utf8.forEach(mix) }
        return String(String(hash).map { Self.safeLetters[Int($0.wholeNumberValue ?? 0)] })
    }

    /// One letter or digit for each decimal digit; no vowels and no 0, 1 or 3.
    private static let safeLetters: [Character] = ["6", "7", "8", "9", "b", "c", "d", "f", "4", "5"]
}
