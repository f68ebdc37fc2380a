/// Values as Go prints them with `%#v`: upstream shows structures in this way when they are wrong.
package enum GoSyntax {
    /// `[]string{"a", "b"}`; an absent list is `[]string(nil)`.
    package static func list(_ values: [String], type: String = "string") -> String {
        if values.isEmpty { return "[]\(type)(nil)" }
        return "[]\(type){\(values.map(GoText.quoted).joined(separator: ", "))}"
    }

    /// `map[string]string{"a":"b"}`; an absent map is `map[string]string(nil)`.
    package static func map(_ values: [String: String]) -> String {
        if values.isEmpty { return "map[string]string(nil)" }
        let members = values.sorted { $0.key < $1.key }
            .map { "\(GoText.quoted($0.key)):\(GoText.quoted($0.value))" }
        return "map[string]string{\(members.joined(separator: ", "))}"
    }

    /// A number or text.
    package static func intOrString(_ value: IntOrString) -> String {
        switch value {
        case .int(let number): return "intstr.IntOrString{Type:0, IntVal:\(number), StrVal:\"\"}"
        case .string(let text): return "intstr.IntOrString{Type:1, IntVal:0, StrVal:\(GoText.quoted(text))}"
        }
    }

    /// A label selector; the absent one is `null`.
    package static func selector(_ selector: LabelSelector?) -> String {
        guard let selector else { return "null" }
        let expressions = selector.matchExpressions.map {
            "v1.LabelSelectorRequirement{Key:\(GoText.quoted($0.key)), Operator:\(GoText.quoted($0.operator)), "
                + "Values:\(list($0.values))}"
        }
        let requirements =
            expressions.isEmpty
            ? "[]v1.LabelSelectorRequirement(nil)"
            : "[]v1.LabelSelectorRequirement{\(expressions.joined(separator: ", "))}"
        return "v1.LabelSelector{MatchLabels:\(map(selector.matchLabels)), MatchExpressions:\(requirements)}"
    }
}
