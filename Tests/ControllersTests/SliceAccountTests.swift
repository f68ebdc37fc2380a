import Controllers
import KubernetesAPI
import Testing

@Suite("What a reconciliation does to slices, in numbers")
struct SliceAccountTests {
    private func slice(_ name: String, _ addresses: [String], ready: Bool = true) -> EndpointSlice {
        var slice = EndpointSlice(metadata: ObjectMeta(name: name, namespace: "default"))
        slice.addressType = "IPv4"
        slice.ports = [EndpointSlicePort(name: "", protocol: "TCP", port: 80)]
        slice.endpoints = addresses.map {
            Endpoint(addresses: [$0], conditions: EndpointConditions(ready: ready))
        }
        return slice
    }

    @Test("Nothing to do is nothing done")
    func idle() {
        let account = SliceAccount(
            EndpointSliceChanges(), existing: [slice("a", ["1", "2"]), slice("b", ["3"])], capacity: 100)
        #expect(account.added == 0 && account.updated == 0 && account.removed == 0)
        #expect(account.endpoints == 3 && account.slices == 2 && account.neededSlices == 1)
    }

    @Test("Who only moves to another slice neither comes nor goes")
    func moves() {
        let changes = EndpointSliceChanges(
            create: [slice("", ["9"])], update: [slice("a", ["1", "3", "4"])],
            delete: [slice("b", ["3", "5"])])
        let account = SliceAccount(
            changes, existing: [slice("a", ["1", "2"]), slice("b", ["3", "5"]), slice("c", ["6"])],
            capacity: 2)
        #expect(account.added == 2)
        #expect(account.updated == 0)
        #expect(account.removed == 2)
        #expect(account.endpoints == 5 && account.slices == 3 && account.neededSlices == 3)
    }

    @Test("Who changes is counted as such")
    func changes() {
        let account = SliceAccount(
            EndpointSliceChanges(update: [slice("a", ["1", "2"], ready: false)]),
            existing: [slice("a", ["1", "2"])], capacity: 100)
        #expect(account.updated == 2 && account.added == 0 && account.removed == 0)
    }
}
