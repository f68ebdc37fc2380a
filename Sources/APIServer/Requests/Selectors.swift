import KubernetesAPI

/// Reading and writing of selectors.
enum Selectors {
    /// A label selector as in a query.
    static func labels(_ text: String) throws(APIError) -> Selector {
        do {
            return try Selector.parse(text)
        } catch {
            throw .badRequest("\(error)")
        }
    }

    /// A field selector as in a query, over the labels that the resource has.
    static func fields(_ text: String, selectable: [String]) throws(APIError) -> FieldSelector {
        let selector: FieldSelector
        do {
            selector = try FieldSelector.parse(text)
        } catch {
            throw .badRequest("\(error)")
        }
        for field in selector.requirements.map(\.field) where !selectable.contains(field) {
            // Kinds that have labels of their own say it shorter.
            throw .badRequest(
                selectable.count > 2
                    ? "field label not supported: \(field)"
                    : "\"\(field)\" is not a known field selector: only \"metadata.name\", \"metadata.namespace\""
            )
        }
        return selector
    }

    /// A selector of an object as text: `app=web,tier in (a,b)`.
    static func describe(_ selector: LabelSelector?) -> String {
        guard let selector,
            let expressions = try? Selector(LabelSelector(matchExpressions: selector.matchExpressions))
        else { return "<none>" }
        // matchLabels are equations; only as such they read `app=web`.
        let requirements =
            Selector(labels: selector.matchLabels).requirements + expressions.requirements
        return requirements.isEmpty ? "<none>" : Selector(requirements).description
    }
}
