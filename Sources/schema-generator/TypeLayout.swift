import SchemaLanguage

/// All types, what they hold once inlined types are flattened, and how large that is.
struct TypeLayout {
    let types: [String: TypeDeclaration]
    private var sizes: [String: Int] = [:]

    init(_ declarations: [TypeDeclaration]) throws {
        var types: [String: TypeDeclaration] = [:]
        for type in declarations where types.updateValue(type, forKey: type.swiftName) != nil {
            throw GeneratorError(description: "\(type.swiftName) is declared in two files")
        }
        self.types = types
        for type in declarations {
            for field in type.fields { try check(field.type, of: type.name, field.name) }
        }
        for type in declarations { sizes[type.swiftName] = size(of: type.swiftName, depth: 0) }
    }

    private func check(_ type: FieldType, of owner: String, _ field: String) throws {
        switch type {
        case .array(let element): try check(element, of: owner, field)
        case .map(let value): try check(value, of: owner, field)
        case .named(let name):
            if types[name] == nil {
                throw GeneratorError(description: "\(owner).\(field): there is no type \(name)")
            }
        default: break
        }
    }

    /// The fields of a type in writing order, with those of inlined types in their place.
    func fields(of type: TypeDeclaration) -> [FieldDeclaration] {
        var fields: [FieldDeclaration] = []
        for field in type.fields {
            if field.isInline, case .named(let name) = field.type, let inner = types[name] {
                fields += self.fields(of: inner)
            } else {
                fields.append(field)
            }
        }
        return fields
    }

    /// Whether a field that holds this type keeps it on the heap: everything that is large, and every pointer,
    /// which most objects leave empty.
    func isBoxed(_ field: FieldDeclaration) -> Bool {
        guard case .named(let name) = field.type, types[name] != nil else { return false }
        return field.presence == .optional || (sizes[name] ?? 1000) > 64
    }

    private func size(of name: String, depth: Int) -> Int {
        guard depth < 16, let type = types[name] else { return 1000 }
        var sum = 0
        for field in fields(of: type) {
            switch field.type {
            case .bool: sum += 1
            case .int32, .int64, .double: sum += field.presence == .optional ? 16 : 8
            case .string, .time, .microTime, .duration: sum += 16
            case .intOrString, .raw: sum += 24
            case .quantity: sum += 48
            case .bytes, .array, .map: sum += 8
            case .named(let inner):
                if field.presence == .optional {
                    sum += 8
                    continue
                }
                let innerSize = size(of: inner, depth: depth + 1)
                sum += innerSize > 64 ? 8 : innerSize
            }
        }
        return sum
    }
}
