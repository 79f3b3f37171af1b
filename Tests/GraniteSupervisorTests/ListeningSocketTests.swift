import Foundation
import GraniteSupervisor
import Testing

struct ListeningSocketTests {
    @Test func aPortInUseSaysHowToFindOutWhoHasIt() throws {
        let first = try ListeningSocket.bind(host: "127.0.0.1", port: 0)
        let port = first[0].port
        #expect(port > 0)
        #expect(first[0].url == "http://127.0.0.1:\(port)")
        let error = #expect(throws: SupervisorError.self) { try ListeningSocket.bind(host: "127.0.0.1", port: port) }
        #expect(error?.code == .cannotListen)
        #expect(
            error?.description == """
                Cannot listen on 127.0.0.1:\(port): Address already in use. Another process listens there: \
                `ss -ltnp 'sport = :\(port)'` shows which. Stop it, or choose another --port.
                """)
        withExtendedLifetime(first) {}
    }

    @Test(arguments: ["", "no such host", "nowhere.invalid"]) func aBadHostIsASentence(_ host: String) {
        let error = #expect(throws: SupervisorError.self) { try ListeningSocket.bind(host: host, port: 0) }
        #expect(error?.code == .badHost)
    }

    @Test func anAddressOfAnotherMachineIsRefused() {
        // 192.0.2.0/24 is for documentation (RFC 5737): never ours.
        let error = #expect(throws: SupervisorError.self) { try ListeningSocket.bind(host: "192.0.2.1", port: 0) }
        #expect(error?.code == .cannotListen)
        #expect(error?.description.contains("no address of this machine") == true)
    }

    @Test(
        .enabled(if: FileManager.default.fileExists(atPath: "/proc/net/if_inet6"), "no IPv6 here"),
        arguments: ["::1", "[::1]"])
    func bracketsAroundIPv6AreOptional(_ host: String) throws {
        let sockets = try ListeningSocket.bind(host: host, port: 0)
        #expect(sockets.map(\.url) == ["http://[::1]:\(sockets[0].port)"])
    }

    @Test func aNameBindsAllItsAddressesOnOnePort() throws {
        let sockets = try ListeningSocket.bind(host: "localhost", port: 0)
        #expect(Set(sockets.map(\.port)).count == 1)
        #expect(sockets.contains { $0.address == "127.0.0.1" })
    }
}
