import KubernetesAPI
import Testing

@Suite struct SelectorTests {
    @Test(arguments: [
        ("", "", true), ("a=b", "a=b", true), ("a==b", "a==b", true), ("a!=b", "a!=b", false),
        ("a", "a", true),
        ("!a", "!a", false), ("a in (b,c)", "a in (b,c)", true), ("a notin (c, b)", "a notin (b,c)", false),
        ("z,a", "a,z", false), ("!z", "!z", true), ("z!=1", "z!=1", true), ("n>3", "n>3", true),
        ("n<3", "n<3", false),
        ("a in (,b)", "a in (,b)", true), ("e=", "e=", true), ("e in ()", "e in ()", true),
        ("in in (in)", "in in (in)", false),
        (" a = b , n ", "a=b,n", true), ("x.io/y=1", "x.io/y=1", false),
    ])
    func matches(_ text: String, _ shown: String, _ expected: Bool) throws {
        let selector = try Selector.parse(text)
        #expect(selector.description == shown)
        #expect(selector.matches(["a": "b", "n": "5", "e": ""]) == expected)
        #expect(try Selector.parse(shown) == selector)
    }

    @Test(arguments: [
        ("a=b,", "found '', expected: identifier after ','"),
        (",a", "found ',', expected: !, identifier, or 'end of string'"),
        ("a b", "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt"),
        ("a in b", "unable to parse requirement: found 'b' expected: '('"),
        ("a=b=c", "found '=', expected: ',' or 'end of string'"),
        ("a==!", "unable to parse requirement: found '!', expected: identifier"),
        ("!", "unable to parse requirement: found '', expected: identifier"),
        ("a in (b", "unable to parse requirement: found '', expected: ',' or ')'"),
    ])
    func refuses(_ text: String, _ message: String) {
        do {
            let selector = try Selector.parse(text)
            Issue.record("read \(selector)")
        } catch {
            #expect(error.message == message)
        }
    }

    @Test func refusesBadKeysAndValues() {
        for text in ["-a=b", "a=-b", "a/b/c=d", "/a=b", "A_/x=y", "n>x"] {
            #expect(throws: SelectorError.self, "\(text)") { try Selector.parse(text) }
        }
    }

    @Test func readsLabelSelectors() throws {
        #expect(try !Selector(nil).matches([:]))
        #expect(try Selector(LabelSelector()).matches([:]))
        let selector = LabelSelector(
            matchLabels: ["a": "b"],
            matchExpressions: [LabelSelectorRequirement(key: "c", operator: "NotIn", values: ["d"])])
        #expect(try Selector(selector).matches(["a": "b", "c": "e"]))
        #expect(try !Selector(selector).matches(["a": "b", "c": "d"]))
        let wrong = LabelSelector(matchExpressions: [LabelSelectorRequirement(key: "c", operator: "In")])
        #expect(throws: SelectorError.self) { try Selector(wrong) }
    }

    @Test func readsFieldSelectors() throws {
        let selector = try FieldSelector.parse(#"metadata.name=a\,b,spec.nodeName!=x,status.phase==Running"#)
        #expect(selector.matches(["metadata.name": "a,b", "spec.nodeName": "y", "status.phase": "Running"]))
        #expect(!selector.matches(["metadata.name": "a,b", "spec.nodeName": "x", "status.phase": "Running"]))
        #expect(selector.exactValue(of: "metadata.name") == "a,b")
        #expect(selector.description == #"metadata.name=a\,b,spec.nodeName!=x,status.phase=Running"#)
        #expect(try FieldSelector.parse("").selectsEverything)
        for text in ["a", "a=b=c", #"a=\x"#, #"a=b\"#] {
            #expect(throws: SelectorError.self, "\(text)") { try FieldSelector.parse(text) }
        }
    }
}

@Suite struct ErrorTests {
    @Test func speaksAsUpstream() {
        #expect(APIError.notFound(Pod.resource, "x").description == #"pods "x" not found"#)
        #expect(
            APIError.alreadyExists(Deployment.resource, "x").description
                == #"deployments.apps "x" already exists"#)
        #expect(
            APIError.conflict(Pod.resource, "x").description
                == #"Operation cannot be fulfilled on pods "x": the object has been modified; "#
                + "please apply your changes to the latest version and try again")
        let one = APIError.invalid(
            Deployment.resource, "web",
            [.invalid("spec.selector", ["matchLabels": ["a": "b"]], "field is immutable")])
        #expect(
            one.description == #"Deployment.apps "web" is invalid: "#
                + #"spec.selector: Invalid value: {"matchLabels":{"a":"b"}}: field is immutable"#)
        #expect(one.status.details?.causes.first?.reason == "FieldValueInvalid")
        let two = APIError.invalid(
            Pod.resource, "p", [.required("a"), .notSupported("b", "x", ["y", "z"]), .required("a")])
        #expect(
            two.description == #"Pod "p" is invalid: [a: Required value, "#
                + #"b: Unsupported value: "x": supported values: "y", "z"]"#)
        let json = String(decoding: APIError.badRequest("no").status.json(), as: UTF8.self)
        #expect(
            json == #"{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"no","#
                + #""reason":"BadRequest","code":400}"#)
    }

    @Test(arguments: [
        (FieldError.duplicate("a", "b"), #"a: Duplicate value: "b""#),
        (.notFound("a", "b"), #"a: Not found: "b""#), (.forbidden("a", "no"), "a: Forbidden: no"),
        (.tooLong("a", maximum: 63), "a: Too long: may not be more than 63 bytes"),
        (.tooMany("a", 3, maximum: 1), "a: Too many: 3: must have at most 1 item"),
        (.invalid("a", 70000, "must be less"), "a: Invalid value: 70000: must be less"),
        (.required("a", "why"), "a: Required value: why"),
    ])
    func fieldErrors(_ error: FieldError, _ message: String) { #expect(error.description == message) }
}
