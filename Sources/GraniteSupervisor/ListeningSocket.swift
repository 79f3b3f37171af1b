// Binds the server's addresses. It is separate because the sockets outlive every worker: a crash loses only the requests that
// were being served, never the accept queue.

import Glibc
import GraniteLinux

/// A bound, listening TCP socket: non-blocking, close-on-exec.
package struct ListeningSocket: Sendable {
    let descriptor: Descriptor
    /// The address as text, without brackets.
    package let address: String
    /// The port really bound.
    package let port: UInt16

    /// `http://127.0.0.1:8000`.
    package var url: String { "http://\(address.contains(":") ? "[\(address)]" : address):\(port)" }

    /// Connections that wait for a worker; the kernel caps it at net.core.somaxconn.
    static let backlog: Int32 = 1024

    /// Binds every address that `host` means; a name like `localhost` may mean one of each family.
    ///
    /// - Parameters:
    ///   - host: a name, an IPv4 or an IPv6 address, with or without brackets.
    ///   - port: 0 lets the system choose; all addresses then get the same port.
    package static func bind(host: String, port: UInt16) throws(SupervisorError) -> [ListeningSocket] {
        let bare = host.hasPrefix("[") && host.hasSuffix("]") ? String(host.dropFirst().dropLast()) : host
        var sockets: [ListeningSocket] = []
        for address in try resolve(bare, port: port) where !sockets.contains(where: { $0.address == address.text }) {
            let wanted = port == 0 ? sockets.first?.port ?? 0 : port
            do {
                sockets.append(try address.bind(port: wanted, dualStack: bare == "::"))
            } catch {
                // A name may have an IPv6 address on a machine without IPv6.
                guard error.errno == EADDRNOTAVAIL || error.errno == EAFNOSUPPORT,
                    !sockets.isEmpty || address.hasSibling
                else { throw error }
            }
        }
        guard !sockets.isEmpty else {
            throw SupervisorError(
                code: .badHost, subject: host,
                advice: "None of its addresses belongs to this machine; 0.0.0.0 listens on all.")
        }
        return sockets
    }

    private static func resolve(_ host: String, port: UInt16) throws(SupervisorError) -> [SocketAddress] {
        var hints = addrinfo()
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV
        var list: UnsafeMutablePointer<addrinfo>?
        let error = host.isEmpty ? EAI_NONAME : getaddrinfo(host, String(port), &hints, &list)
        guard error == 0 else {
            throw SupervisorError(
                code: .badHost, subject: host.isEmpty ? "An empty host" : host,
                advice:
                    "\(String(cString: gai_strerror(error))). Use an address of this machine, such as 127.0.0.1, ::1 or 0.0.0.0 for all."
            )
        }
        defer { freeaddrinfo(list) }
        var addresses: [SocketAddress] = []
        var next = list
        while let entry = next {
            addresses.append(SocketAddress(entry.pointee))
            next = entry.pointee.ai_next
        }
        for index in addresses.indices { addresses[index].hasSibling = addresses.count > 1 }
        return addresses
    }
}

/// One result of getaddrinfo(3), copied.
private struct SocketAddress {
    let family: Int32
    var bytes: [UInt8]
    let text: String
    var hasSibling = false

    init(_ info: addrinfo) {
        family = info.ai_family
        bytes = Array(
            UnsafeRawBufferPointer(start: info.ai_addr, count: info.ai_addr == nil ? 0 : Int(info.ai_addrlen)))
        var name = [CChar](repeating: 0, count: 256)
        getnameinfo(info.ai_addr, info.ai_addrlen, &name, socklen_t(name.count), nil, 0, NI_NUMERICHOST)
        text = String(decoding: name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    func bind(port: UInt16, dualStack: Bool) throws(SupervisorError) -> ListeningSocket {
        let shown = "\(text.contains(":") ? "[\(text)]" : text):\(port)"
        func check(_ result: Int32) throws(SupervisorError) {
            guard result < 0 else { return }
            throw SupervisorError(
                code: .cannotListen, errno: errno, subject: shown, advice: Self.advice(errno, port: port))
        }
        let kind = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue) | Int32(SOCK_NONBLOCK.rawValue)
        let number = socket(family, kind, 0)
        try check(number)
        let descriptor = Descriptor(number)
        var on: Int32 = 1
        let size = socklen_t(MemoryLayout<Int32>.size)
        // Connections of the server before us in TIME_WAIT do not keep us from the port (socket(7)).
        try check(setsockopt(number, SOL_SOCKET, SO_REUSEADDR, &on, size))
        if family == AF_INET6 {
            // "::" alone serves IPv4 too; the IPv6 address of a name must leave the port to its IPv4 sibling.
            var only: Int32 = dualStack ? 0 : 1
            try check(setsockopt(number, Int32(IPPROTO_IPV6), IPV6_V6ONLY, &only, size))
        }
        var address = bytes
        guard address.count >= 4 else { throw SupervisorError(code: .badHost, subject: text) }
        // sin_port and sin6_port both lie at offset 2, in network order (ip(7), ipv6(7)).
        address[2] = UInt8(port >> 8)
        address[3] = UInt8(port & 255)
        try check(
            address.withUnsafeBytes { raw in
                guard let base = raw.baseAddress else { return -1 }
                return Glibc.bind(number, base.assumingMemoryBound(to: sockaddr.self), socklen_t(raw.count))
            })
        try check(listen(number, ListeningSocket.backlog))
        return ListeningSocket(descriptor: descriptor, address: text, port: Self.boundPort(number) ?? port)
    }

    private static func boundPort(_ number: Int32) -> UInt16? {
        var storage = sockaddr_storage()
        var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        return withUnsafeMutableBytes(of: &storage) { raw in
            guard let base = raw.baseAddress,
                getsockname(number, base.assumingMemoryBound(to: sockaddr.self), &length) == 0
            else { return nil }
            return UInt16(raw[2]) << 8 | UInt16(raw[3])
        }
    }

    private static func advice(_ error: Int32, port: UInt16) -> String {
        switch error {
        case EADDRINUSE:
            "Another process listens there: `ss -ltnp 'sport = :\(port)'` shows which. Stop it, or choose another --port."
        case EACCES where port < 1024:
            "Ports below 1024 need root or CAP_NET_BIND_SERVICE: choose a port from 1024 on, or `sysctl net.ipv4.ip_unprivileged_port_start=\(port)`."
        case EADDRNOTAVAIL: "That is no address of this machine: `ip addr` lists them; 0.0.0.0 listens on all."
        case EAFNOSUPPORT: "This machine has no such kind of address."
        default: ""
        }
    }
}
