/// Which labels an object must have. All requirements must hold; one without requirements selects everything.
public struct Selector: Sendable, Hashable, CustomStringConvertible {
    /// The requirements, sorted by key.
    public private(set) var requirements: [LabelSelectorExpression]
    /// Selects no object at all: what an absent LabelSelector stands for.
    public private(set) var selectsNothing: Bool

    /// Selects everything.
    public static let everything = Selector([])
    /// Selects nothing.
    public static let nothing: Selector = {
        var selector = Selector([])
        selector.selectsNothing = true
        return selector
    }()

    /// Makes a selector of requirements.
    public init(_ requirements: [LabelSelectorExpression]) {
        self.requirements = requirements.sorted { $0.key < $1.key }
        selectsNothing = false
    }

    /// Selects the objects that have all these labels, such as a Service's pods.
    public init(labels: [String: String]) {
        self.init(labels.map { LabelSelectorExpression(key: $0.key, operator: .equals, values: [$0.value]) })
    }

    /// Reads the selector of an API object. An absent one selects nothing, an empty one everything.
    public init(_ selector: LabelSelector?) throws(SelectorError) {
        guard let selector else {
            self = .nothing
            return
        }
        var requirements: [LabelSelectorExpression] = []
        for (key, value) in selector.matchLabels {
            requirements.append(LabelSelectorExpression(key: key, operator: .equals, values: [value]))
        }
        for expression in selector.matchExpressions {
            let operation: LabelSelectorExpression.Operator
            switch expression.operator {
            case "In": operation = .in
            case "NotIn": operation = .notIn
            case "Exists": operation = .exists
            case "DoesNotExist": operation = .doesNotExist
            default:
                let name = GoText.quoted(expression.operator)
                throw SelectorError(message: "\(name) is not a valid label selector operator")
            }
            let requirement = LabelSelectorExpression(
                key: expression.key, operator: operation, values: expression.values)
            let errors = requirement.validate()
            if !errors.isEmpty { throw SelectorError(message: errors.joinedMessage) }
            requirements.append(requirement)
        }
        self.init(requirements)
    }

    /// Reads text such as `app=web,tier in (a,b),!canary`.
    public static func parse(_ text: String) throws(SelectorError) -> Selector {
        var parser = SelectorParser(text)
        return Selector(try parser.requirements())
    }

    /// Whether every object is selected.
    public var selectsEverything: Bool { requirements.isEmpty && !selectsNothing }

    /// Whether an object with these labels is selected.
    public func matches(_ labels: [String: String]) -> Bool {
        if selectsNothing { return false }
        for requirement in requirements where !requirement.matches(labels) { return false }
        return true
    }

    public var description: String { requirements.map(\.description).joined(separator: ",") }
}

/// A text, or a LabelSelector, that is no selector; the message is upstream's.
public struct SelectorError: Error, Sendable, Hashable, CustomStringConvertible {
    /// What was expected and what was found.
    public var message: String
    public var description: String { message }
}

/// A condition on one label.
public struct LabelSelectorExpression: Sendable, Hashable, CustomStringConvertible {
    /// How the label is judged; the raw value is its form in text.
    public enum Operator: String, Sendable, Hashable, CaseIterable {
        case `in`
        case notIn = "notin"
        case equals = "="
        case doubleEquals = "=="
        case notEquals = "!="
        case greaterThan = "gt"
        case lessThan = "lt"
        case exists
        case doesNotExist = "!"
    }

    /// The key of the label.
    public var key: String
    /// How the label is judged.
    public var `operator`: Operator
    /// The values to compare with.
    public var values: [String]

    /// Makes a condition of its parts.
    public init(key: String, operator: Operator, values: [String]) {
        self.key = key
        self.operator = `operator`
        self.values = values
    }

    /// Whether an object with these labels meets the condition.
    public func matches(_ labels: [String: String]) -> Bool {
        let value = labels[key]
        switch self.operator {
        case .exists: return value != nil
        case .doesNotExist: return value == nil
        case .in, .equals, .doubleEquals:
            guard let value else { return false }
            return values.contains(value)
        case .notIn, .notEquals:
            guard let value else { return true }
            return !values.contains(value)
        case .greaterThan, .lessThan:
            guard let value, let number = Int64(value), values.count == 1, let bound = Int64(values[0]) else {
                return false
            }
            return self.operator == .greaterThan ? number > bound : number < bound
        }
    }

    public var description: String {
        let list = values.sorted().joined(separator: ",")
        switch self.operator {
        case .exists: return key
        case .doesNotExist: return "!\(key)"
        case .in, .notIn: return "\(key) \(self.operator.rawValue) (\(list))"
        case .equals, .doubleEquals, .notEquals: return "\(key)\(self.operator.rawValue)\(list)"
        case .greaterThan: return "\(key)>\(list)"
        case .lessThan: return "\(key)<\(list)"
        }
    }

    /// What is wrong with the condition.
    public func validate() -> [FieldError] {
        var errors: [FieldError] = []
        let keyErrors = LabelSyntax.errors(inKey: key)
        if !keyErrors.isEmpty {
            errors.append(.invalid("key", .string(key), keyErrors.joined(separator: "; ")))
        }
        func expect(_ isRight: Bool, _ message: String) {
            if !isRight { errors.append(.invalid("values", .array(values.map { .string($0) }), message)) }
        }
        switch self.operator {
        case .in, .notIn: expect(!values.isEmpty, "for 'in', 'notin' operators, values set can't be empty")
        case .equals, .doubleEquals, .notEquals:
            expect(values.count == 1, "exact-match compatibility requires one single value")
        case .exists, .doesNotExist:
            expect(values.isEmpty, "values set must be empty for exists and does not exist")
        case .greaterThan, .lessThan:
            expect(values.count == 1, "for 'Gt', 'Lt' operators, exactly one value is required")
            for (index, value) in values.enumerated() where Int64(value) == nil {
                errors.append(
                    .invalid(
                        "values[\(index)]", .string(value),
                        "for 'Gt', 'Lt' operators, the value must be an integer"))
            }
        }
        for (index, value) in values.enumerated() {
            let valueErrors = LabelSyntax.errors(inValue: value)
            if !valueErrors.isEmpty {
                errors.append(
                    .invalid("values[\(index)][\(key)]", .string(value), valueErrors.joined(separator: "; ")))
            }
        }
        return errors
    }
}
