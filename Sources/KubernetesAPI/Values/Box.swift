import KubernetesJSON

/// A value kept on the heap and copied when one of its owners changes it.
///
/// Large structures are held this way by the generated types: copying a Pod then costs three references instead
/// of a hundred, and an empty field costs eight bytes instead of hundreds.
struct Box<Value: JSONCodable>: Sendable, Hashable {
    private var storage: BoxStorage<Value>?

    /// Makes a box of the zero value; nothing is allocated.
    init() {}

    init(_ value: Value) { storage = BoxStorage(value) }

    var value: Value {
        _read {
            if let storage {
                yield storage.value
            } else {
                yield Value()
            }
        }
        _modify {
            let unique: BoxStorage<Value>
            if isKnownUniquelyReferenced(&storage), let storage {
                unique = storage
            } else {
                unique = BoxStorage(storage?.value ?? Value())
                storage = unique
            }
            yield &unique.value
        }
    }

    static func == (left: Box, right: Box) -> Bool {
        left.storage === right.storage || left.value == right.value
    }

    func hash(into hasher: inout Hasher) { value.hash(into: &hasher) }
}

/// A value that may be absent, kept on the heap and copied when one of its owners changes it.
struct OptionalBox<Value: JSONCodable>: Sendable, Hashable {
    private var storage: BoxStorage<Value>?

    /// Makes an empty box.
    init() {}

    init(_ value: Value?) { storage = value.map(BoxStorage.init) }

    var value: Value? {
        get { storage?.value }
        _modify {
            var value: Value?
            if isKnownUniquelyReferenced(&storage), let storage {
                // Taken out while it changes, so that what it holds is not copied.
                value = storage.value
                storage.value = Value()
                yield &value
                if let value { storage.value = value } else { self.storage = nil }
            } else {
                value = storage?.value
                yield &value
                storage = value.map(BoxStorage.init)
            }
        }
    }

    static func == (left: OptionalBox, right: OptionalBox) -> Bool {
        left.storage === right.storage || left.value == right.value
    }

    func hash(into hasher: inout Hasher) { value.hash(into: &hasher) }
}

/// Where a box keeps its value.
///
/// Unchecked: the value changes only through a box that found itself the only owner, and a box, being a value, is
/// changed by one task at a time.
final class BoxStorage<Value: JSONCodable>: @unchecked Sendable {
    var value: Value

    init(_ value: Value) { self.value = value }
}
