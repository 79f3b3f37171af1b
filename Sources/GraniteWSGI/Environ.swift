// Makes `environ` (PEP 3333) for a request: a copy of a prebuilt dict, in which only what differs is set.
// Bytes become str by latin-1, as PEP 3333 asks: the application may undo it.

import CPython
import Glibc
import GraniteExchange

/// The maker of environ dicts. Used with the GIL held only; one per application.
final class Environ {
    private let base: Object
    private let baseCount: Int
    private let names = HeaderNames()
    private let keys: Keys
    private let values: Values
    private let requestIDPrefix: [UInt8]
    // The peer's address is nearly always the last one's: a proxy's.
    private var remoteAddressBytes: [UInt8] = []
    private var remoteAddress: Object

    private struct Keys {
        var method, path, query, rawURI, requestURI, serverProtocol, remoteAddress, remotePort, input, requestID,
            contentLength: Object
    }

    private struct Values {
        var post, http10: Object
    }

    /// nil: a Python error is set.
    init?(_ configuration: WSGIConfiguration, fileWrapper: Object) {
        guard let base = PyDict_New(), let errors = PySys_GetObject("stderr") else { return nil }
        func key(_ name: String) -> Object? { PyUnicode_InternFromString(name) }
        func set(_ name: String, _ value: Object?) -> Object? {
            guard let key = key(name), let value, PyDict_SetItem(base, key, value) == 0 else { return nil }
            return key  // keys and values live as long as the process
        }
        guard let method = set("REQUEST_METHOD", key("GET")), set("SCRIPT_NAME", key("")) != nil,
            let path = set("PATH_INFO", key("/")),
            let query = set("QUERY_STRING", key("")), let rawURI = set("RAW_URI", key("/")),
            let requestURI = set("REQUEST_URI", key("/")),
            set("GATEWAY_INTERFACE", key("CGI/1.1")) != nil, set("SERVER_SOFTWARE", key("granite")) != nil,
            set("SERVER_NAME", key(configuration.serverName)) != nil,
            set("SERVER_PORT", key(String(configuration.serverPort))) != nil,
            let serverProtocol = set("SERVER_PROTOCOL", key("HTTP/1.1")), let noAddress = key(""),
            let remoteAddressKey = set("REMOTE_ADDR", noAddress), let remotePort = set("REMOTE_PORT", key("")),
            let input = set("wsgi.input", granite_python_None()),
            let requestID = set("granite.request_id", granite_python_None())
        else { return nil }
        guard let version = PyTuple_New(2) else { return nil }
        _ = PyTuple_SetItem(version, 0, PyLong_FromLong(1))
        _ = PyTuple_SetItem(version, 1, PyLong_FromLong(0))
        func truth(_ value: Bool) -> Object { value ? granite_python_True() : granite_python_False() }
        guard set("wsgi.version", version) != nil, set("wsgi.url_scheme", key(configuration.urlScheme)) != nil,
            set("wsgi.errors", errors) != nil, set("wsgi.multithread", truth(configuration.isMultithreaded)) != nil,
            set("wsgi.multiprocess", truth(configuration.isMultiprocess)) != nil,
            set("wsgi.run_once", truth(false)) != nil,
            set("wsgi.file_wrapper", fileWrapper) != nil,
            // The body is complete before the application is called: reading to its end is safe without a length.
            set("wsgi.input_terminated", truth(true)) != nil,
            let contentLength = key("CONTENT_LENGTH"), let post = key("POST"), let http10 = key("HTTP/1.0")
        else { return nil }
        self.base = base
        // 23 keys: the dict has room for 42 before it grows (usable part of 64 slots), so a usual request's headers fit
        // into the copy.
        baseCount = PyDict_Size(base)
        keys = Keys(
            method: method, path: path, query: query, rawURI: rawURI, requestURI: requestURI,
            serverProtocol: serverProtocol,
            remoteAddress: remoteAddressKey, remotePort: remotePort, input: input, requestID: requestID,
            contentLength: contentLength)
        values = Values(post: post, http10: http10)
        requestIDPrefix = Array(configuration.requestIDPrefix.utf8)
        remoteAddress = noAddress
    }

    /// A new dict for this request, owned; nil: a Python error is set.
    func make(_ request: Request, input: Object) -> Object? {
        guard let environ = PyDict_Copy(base) else { return nil }
        guard setRequestLine(environ, request), setPeer(environ, request), setHeaders(environ, request),
            PyDict_SetItem(environ, keys.input, input) == 0
        else {
            environ.release()
            return nil
        }
        return environ
    }

    @inline(__always)
    private func setRequestLine(_ environ: Object, _ request: Request) -> Bool {
        let method = request.method
        if method.count == 4 && equal(method, "POST") {
            guard PyDict_SetItem(environ, keys.method, values.post) == 0 else { return false }
        } else if !(method.count == 3 && equal(method, "GET")) {
            guard Self.set(environ, keys.method, Self.text(method)) else { return false }
        }
        if request.path.count != 1 || request.path[0] != UInt8(ascii: "/") {
            guard Self.set(environ, keys.path, Self.percentDecoded(request.path)) else { return false }
        }
        if request.target.count != 1 || request.target[0] != UInt8(ascii: "/") {
            guard let target = Self.text(request.target) else { return false }
            defer { target.release() }
            guard PyDict_SetItem(environ, keys.rawURI, target) == 0,
                PyDict_SetItem(environ, keys.requestURI, target) == 0
            else { return false }
        }
        if !request.query.isEmpty {
            guard Self.set(environ, keys.query, Self.text(request.query)) else { return false }
        }
        return request.minorVersion != 0 || PyDict_SetItem(environ, keys.serverProtocol, values.http10) == 0
    }

    private func setPeer(_ environ: Object, _ request: Request) -> Bool {
        let address = request.remoteAddress
        if !remoteAddressBytes.elementsEqual(address) {
            guard let text = Self.text(address) else { return false }
            remoteAddress.release()
            remoteAddress = text
            remoteAddressBytes = Array(address)
        }
        guard PyDict_SetItem(environ, keys.remoteAddress, remoteAddress) == 0,
            request.remotePort == 0
                || Self.set(environ, keys.remotePort, Self.decimal(UInt64(request.remotePort)))
        else { return false }
        return Self.set(environ, keys.requestID, requestID(request.number))
    }

    private func setHeaders(_ environ: Object, _ request: Request) -> Bool {
        var expected = baseCount
        var hasContentLength = false
        for field in request.headers {
            let name = UnsafeRawBufferPointer(start: request.base + Int(field.nameOffset), count: Int(field.nameLength))
            let value = UnsafeRawBufferPointer(
                start: request.base + Int(field.valueOffset), count: Int(field.valueLength))
            if let entry = names.find(name) ?? names.insert(name) {
                if entry.kind == .transferEncoding { continue }
                if entry.kind == .contentLength { hasContentLength = true }
                guard Self.set(environ, entry.key, Self.text(value)) else { return false }
            } else {
                guard let key = HeaderNames.makeKey(name) else { return false }
                defer { key.release() }
                guard Self.set(environ, key, Self.text(value)) else { return false }
            }
            expected += 1
        }
        if !hasContentLength, request.body.length > 0 {
            // The body came chunked and was decoded: Content-Length takes Transfer-Encoding's place (RFC 9112, 7.1.3).
            // Without it Django, for one, sees no body.
            guard Self.set(environ, keys.contentLength, Self.decimal(UInt64(request.body.length)))
            else { return false }
            expected += 1
        }
        return PyDict_Size(environ) == expected || joinRepeated(environ, request)
    }

    /// Some header came more than once, and only its last value was kept: joins the values in order, by "," or, for
    /// Cookie, "; ".
    private func joinRepeated(_ environ: Object, _ request: Request) -> Bool {
        let fields = request.headers
        func name(_ index: Int) -> UnsafeRawBufferPointer {
            UnsafeRawBufferPointer(
                start: request.base + Int(fields[index].nameOffset), count: Int(fields[index].nameLength))
        }
        func lowered(_ bytes: UnsafeRawBufferPointer) -> [UInt8] { bytes.map { $0 &- 65 < 26 ? $0 + 32 : $0 } }
        var places: [[UInt8]: [Int]] = [:]
        for index in fields.indices { places[lowered(name(index)), default: []].append(index) }
        for indices in places.values where indices.count > 1 {
            let kind = HeaderNames.kind(name(indices[0]))
            if kind == .transferEncoding { continue }
            var joined: [UInt8] = []
            for index in indices {
                if index != indices[0] { joined += kind == .cookie ? Array("; ".utf8) : Array(",".utf8) }
                joined += UnsafeRawBufferPointer(
                    start: request.base + Int(fields[index].valueOffset), count: Int(fields[index].valueLength))
            }
            guard let key = HeaderNames.makeKey(name(indices[0])) else { return false }
            defer { key.release() }
            guard joined.withUnsafeBytes({ Self.set(environ, key, Self.text($0)) }) else { return false }
        }
        return true
    }

    // MARK: Values

    @inline(__always)
    private func equal(_ bytes: UnsafeRawBufferPointer, _ text: StaticString) -> Bool {
        bytes.baseAddress.map { memcmp($0, text.utf8Start, bytes.count) == 0 } ?? false
    }

    /// Sets a new value, whose reference is given up. False: a Python error is set.
    @inline(__always)
    private static func set(_ environ: Object, _ key: Object, _ value: Object?) -> Bool {
        guard let value else { return false }
        let result = PyDict_SetItem(environ, key, value)
        value.release()
        return result == 0
    }

    @inline(__always)
    private static func text(_ bytes: UnsafeRawBufferPointer) -> Object? {
        PyUnicode_DecodeLatin1(bytes.baseAddress?.assumingMemoryBound(to: CChar.self) ?? emptyCString, bytes.count, nil)
    }

    private static func decimal(_ value: UInt64) -> Object? {
        withUnsafeTemporaryAllocation(of: CChar.self, capacity: 20) { text in  // UInt64.max has 20 digits
            var end = text.count
            var rest = value
            repeat {
                end -= 1
                text[end] = CChar(truncatingIfNeeded: rest % 10 + 48)
                rest /= 10
            } while rest != 0
            return text.baseAddress.flatMap { PyUnicode_DecodeLatin1($0 + end, text.count - end, nil) }
        }
    }

    private func requestID(_ number: UInt64) -> Object? {
        let digits = requestIDPrefix.count + RequestIDs.numberDigits
        return withUnsafeTemporaryAllocation(byteCount: digits, alignment: 1) { text in
            text.copyBytes(from: requestIDPrefix)
            RequestIDs.write(number, to: UnsafeMutableRawBufferPointer(rebasing: text[requestIDPrefix.count...]))
            return Self.text(UnsafeRawBufferPointer(text))
        }
    }

    /// %XX undone; what is no valid escape stays as it is.
    static func percentDecoded(_ bytes: UnsafeRawBufferPointer) -> Object? {
        guard let start = bytes.baseAddress, memchr(start, Int32(UInt8(ascii: "%")), bytes.count) != nil else {
            return text(bytes)
        }
        return withUnsafeTemporaryAllocation(of: UInt8.self, capacity: bytes.count) { decoded in
            var count = 0
            var index = 0
            while index < bytes.count {
                if bytes[index] == UInt8(ascii: "%"), index + 2 < bytes.count, let high = hexadecimal(bytes[index + 1]),
                    let low = hexadecimal(bytes[index + 2])
                {
                    decoded[count] = high << 4 | low
                    index += 3
                } else {
                    decoded[count] = bytes[index]
                    index += 1
                }
                count += 1
            }
            return text(UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(decoded)[..<count]))
        }
    }

    private static func hexadecimal(_ byte: UInt8) -> UInt8? {
        switch byte {
        case 48...57: byte - 48
        case 65...70: byte - 55
        case 97...102: byte - 87
        default: nil
        }
    }
}
