// Checks what `start_response` is given (PEP 3333) before any byte of it reaches the transport: nothing an application
// says can split a response or break its framing.

import CPython
import GraniteExchange

/// Checks and copies of one response head. Each function sets a Python error when it says no.
enum ResponseHead {
    /// Begins the response on the exchange.
    ///
    /// - Returns: the Content-Length that the application declared, -1 if it declared none; nil: a Python error is set.
    static func begin(_ exchange: any Exchange, status: Object, headers: Object) -> Int? {
        guard status.isText else {
            return refuse(granite_python_TypeError(), "the status must be a str, not \(PythonText.typeName(status))")
        }
        guard headers.isList else {
            return refuse(granite_python_TypeError(), "the headers must be a list, not \(PythonText.typeName(headers))")
        }
        let begun = withLatin1(status, "the status") { bytes -> Bool? in
            guard let code = statusCode(bytes) else {
                return refuse(
                    granite_python_ValueError(),
                    "the status must be three digits from 200 to 599, a space and a reason, not \(quoted(bytes))")
            }
            exchange.begin(status: code, reason: UnsafeRawBufferPointer(rebasing: bytes[4...]))
            return true
        }
        guard begun != nil else { return nil }
        var declared = -1
        // Nothing below runs Python code, so the list cannot change meanwhile.
        for index in 0..<PyList_Size(headers) {
            guard let pair = PyList_GetItem(headers, index), pair.isTuple, PyTuple_Size(pair) == 2,
                let name = PyTuple_GetItem(pair, 0),
                let value = PyTuple_GetItem(pair, 1), name.isText, value.isText
            else { return refuse(granite_python_TypeError(), "each header must be a tuple of two str") }
            guard add(exchange, name, value, &declared) else { return nil }
        }
        return declared
    }

    @inline(__always)
    private static func add(_ exchange: any Exchange, _ name: Object, _ value: Object, _ declared: inout Int) -> Bool {
        var length = declared
        let added = withLatin1(name, "a header's name") { nameBytes -> Bool? in
            guard isToken(nameBytes) else {
                return refuse(granite_python_ValueError(), "\(quoted(nameBytes)) is not a valid header name")
            }
            guard !isHopByHop(nameBytes) else {
                return refuse(
                    granite_python_ValueError(),
                    "\(quoted(nameBytes)) is a hop-by-hop header, which only the server may send (PEP 3333)")
            }
            return withLatin1(value, "a header's value") { valueBytes -> Bool? in
                guard isFieldValue(valueBytes) else {
                    return refuse(
                        granite_python_ValueError(),
                        "the value of header \(quoted(nameBytes)) has a control character in it")
                }
                if equalIgnoringCase(nameBytes, "content-length") {
                    guard length == -1, let number = decimal(valueBytes) else {
                        return refuse(
                            granite_python_ValueError(), "Content-Length must be one decimal number, given once")
                    }
                    length = number
                }
                exchange.addHeader(name: nameBytes, value: valueBytes)
                return true
            }
        }
        declared = length
        return added != nil
    }

    /// The bytes of a str in latin-1, valid during `body`.
    @inline(__always)
    private static func withLatin1(_ text: Object, _ what: StaticString, _ body: (UnsafeRawBufferPointer) -> Bool?)
        -> Bool?
    {
        var count = 0
        // For ASCII, which is nearly all, UTF-8 is latin-1 and CPython returns its own bytes.
        if let utf8 = PyUnicode_AsUTF8AndSize(text, &count), count == PyUnicode_GetLength(text) {
            return body(UnsafeRawBufferPointer(start: utf8, count: count))
        }
        PyErr_Clear()
        guard let bytes = PyUnicode_AsLatin1String(text) else {
            PyErr_Clear()
            return refuse(
                granite_python_ValueError(),
                "\(what) has characters outside of latin-1: \(PythonText.repr(text, limit: 200) ?? "")")
        }
        defer { bytes.release() }
        return body(UnsafeRawBufferPointer(start: PyBytes_AsString(bytes), count: PyBytes_Size(bytes)))
    }

    // MARK: Grammar

    /// The code of "NNN reason", 200 to 599: an interim status cannot be a whole response.
    static func statusCode(_ bytes: UnsafeRawBufferPointer) -> Int? {
        guard bytes.count >= 4, bytes[3] == UInt8(ascii: " "), isFieldValue(bytes) else { return nil }
        var code = 0
        for byte in bytes[..<3] {
            guard byte &- 48 < 10 else { return nil }
            code = code * 10 + Int(byte &- 48)
        }
        return (200...599).contains(code) ? code : nil
    }

    /// RFC 9110 token.
    static func isToken(_ bytes: UnsafeRawBufferPointer) -> Bool {
        for byte in bytes where !ByteSet.token.contains(byte) { return false }
        return !bytes.isEmpty
    }

    /// PEP 3333: no control characters; RFC 9110, 5.5 has the tab as white space.
    static func isFieldValue(_ bytes: UnsafeRawBufferPointer) -> Bool {
        for byte in bytes where !ByteSet.fieldValue.contains(byte) { return false }
        return true
    }

    /// RFC 9110, 7.6.1, and the names of RFC 2616 that PEP 3333 refers to.
    static func isHopByHop(_ name: UnsafeRawBufferPointer) -> Bool {
        switch name.count {
        case 2: equalIgnoringCase(name, "te")
        case 7: equalIgnoringCase(name, "trailer") || equalIgnoringCase(name, "upgrade")
        case 8: equalIgnoringCase(name, "trailers")
        case 10: equalIgnoringCase(name, "connection") || equalIgnoringCase(name, "keep-alive")
        case 17: equalIgnoringCase(name, "transfer-encoding")
        case 18: equalIgnoringCase(name, "proxy-authenticate")
        case 19: equalIgnoringCase(name, "proxy-authorization")
        default: false
        }
    }

    static func decimal(_ bytes: UnsafeRawBufferPointer) -> Int? {
        guard !bytes.isEmpty, bytes.count <= 18 else { return nil }
        var number = 0
        for byte in bytes {
            guard byte &- 48 < 10 else { return nil }
            number = number * 10 + Int(byte &- 48)
        }
        return number
    }

    private static func quoted(_ bytes: UnsafeRawBufferPointer) -> String {
        "\"" + String(decoding: bytes.prefix(100).map { $0 < 32 || $0 > 126 ? UInt8(ascii: "?") : $0 }, as: UTF8.self)
            + "\""
    }

    private static func refuse<Value>(_ type: Object, _ message: String) -> Value? {
        PyErr_SetString(type, message)
        return nil
    }
}
