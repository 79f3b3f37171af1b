// Defines how lists of strings are lent to C: the argument and environment vectors of execve(2). They need not be text.

/// Calls `body` with a NULL-terminated array of pointers to NUL-terminated strings, valid during the call.
package func withCStrings<Result>(_ strings: [String], _ body: ([UnsafeMutablePointer<CChar>?]) -> Result) -> Result {
    withCStrings(strings.map { Array($0.utf8CString) }, body)
}

/// As for text; the strings are without their NUL.
package func withCStrings<Result>(_ strings: [[UInt8]], _ body: ([UnsafeMutablePointer<CChar>?]) -> Result) -> Result {
    withCStrings(strings.map { $0.map { CChar(bitPattern: $0) } + [0] }, body)
}

/// As for text; each string ends with its NUL.
package func withCStrings<Result>(_ strings: [[CChar]], _ body: ([UnsafeMutablePointer<CChar>?]) -> Result) -> Result {
    var starts: [Int] = []
    var bytes: [CChar] = []
    for string in strings {
        starts.append(bytes.count)
        bytes += string
    }
    return bytes.withUnsafeMutableBufferPointer { buffer in
        body(starts.map { start in buffer.baseAddress.map { $0 + start } } + [nil])
    }
}
