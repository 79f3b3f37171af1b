// Defines `wsgi.input`: file-like reading of a body that the transport has received whole, so it never waits. It may
// outlive its request and die on any thread: transport's buffer and descriptor are forgotten when the request ends.

import CPython
import Glibc
import GraniteExchange

/// The class `granite.Input` and its objects.
enum RequestInput {
    static func makeType() -> Object? {
        let methods = HeapType.table([
            HeapType.method("read", read), HeapType.method("readline", readline),
            HeapType.method("readlines", readlines),
        ])
        return HeapType.make(
            "granite.Input", size: MemoryLayout<granite_input>.size,
            slots: [
                (GRANITE_TP_DEALLOC, unsafeBitCast(HeapType.plainDeallocator, to: UnsafeMutableRawPointer.self)),
                (GRANITE_TP_ITER, unsafeBitCast(iterator, to: UnsafeMutableRawPointer.self)),
                (GRANITE_TP_ITERNEXT, unsafeBitCast(next, to: UnsafeMutableRawPointer.self)),
                (GRANITE_TP_METHODS, UnsafeMutableRawPointer(methods)),
            ])
    }

    @inline(__always)
    private static func fields(_ object: Object) -> UnsafeMutablePointer<granite_input> {
        UnsafeMutableRawPointer(object).assumingMemoryBound(to: granite_input.self)
    }

    /// Points the object at a request's body.
    @inline(__always)
    static func open(_ object: Object, _ body: RequestBody) {
        let input = fields(object)
        input.pointee.position = 0
        input.pointee.open = 1
        switch body {
        case .none:
            input.pointee.bytes = nil
            input.pointee.length = 0
            input.pointee.descriptor = -1
        case .memory(let bytes):
            input.pointee.bytes = bytes.baseAddress?.assumingMemoryBound(to: UInt8.self)
            input.pointee.length = bytes.count
            input.pointee.descriptor = -1
        case .file(let descriptor, let length):
            input.pointee.bytes = nil
            input.pointee.length = length
            input.pointee.descriptor = descriptor
        }
    }

    /// Forgets the request: whoever still has the object gets an error.
    @inline(__always)
    static func close(_ object: Object) {
        let input = fields(object)
        input.pointee.open = 0
        input.pointee.bytes = nil
        input.pointee.length = 0
        input.pointee.position = 0
        input.pointee.descriptor = -1
    }

    // MARK: Methods

    private static let read: FastFunction = { object, arguments, count, names in
        guard let object, let size = size("read", "size", arguments, count, names), isOpen(object) else { return nil }
        let input = fields(object)
        let rest = input.pointee.length - input.pointee.position
        return take(input, size < 0 ? rest : min(size, rest))
    }

    private static let readline: FastFunction = { object, arguments, count, names in
        guard let object, let size = size("readline", "size", arguments, count, names), isOpen(object) else {
            return nil
        }
        return takeLine(fields(object), size)
    }

    private static let readlines: FastFunction = { object, arguments, count, names in
        guard let object, let hint = size("readlines", "hint", arguments, count, names), isOpen(object),
            let lines = PyList_New(0)
        else { return nil }
        let input = fields(object)
        let start = input.pointee.position
        while input.pointee.position < input.pointee.length && (hint <= 0 || input.pointee.position - start < hint) {
            guard let line = takeLine(input, -1) else {
                lines.release()
                return nil
            }
            let appended = PyList_Append(lines, line)
            line.release()
            guard appended == 0 else {
                lines.release()
                return nil
            }
        }
        return lines
    }

    private static let iterator: @convention(c) (Object?) -> Object? = { $0?.retained() }

    private static let next: @convention(c) (Object?) -> Object? = { object in
        guard let object, isOpen(object) else { return nil }
        let input = fields(object)
        // NULL without an error is StopIteration.
        return input.pointee.position < input.pointee.length ? takeLine(input, -1) : nil
    }

    /// The one optional argument: absent, None and negative mean "no limit", -1. nil: a Python error is set.
    private static func size(
        _ function: StaticString, _ parameter: StaticString, _ arguments: UnsafePointer<Object?>?, _ count: Int,
        _ names: Object?
    ) -> Int? {
        var argument: Object?
        if count == 1 && names == nil {
            argument = arguments?[0]
        } else if count != 0 || names != nil {
            guard FastArguments(arguments, count, names).read(function, [parameter], into: { argument = $1 }) else {
                return nil
            }
        }
        guard let argument, argument != granite_python_None() else { return -1 }
        let value = PyNumber_AsSsize_t(argument, nil)
        return value == -1 && PyErr_Occurred() != nil ? nil : value
    }

    private static func isOpen(_ object: Object) -> Bool {
        if fields(object).pointee.open != 0 { return true }
        PyErr_SetString(granite_python_ValueError(), "wsgi.input was read after its request had ended")
        return false
    }

    // MARK: Bytes. The GIL is kept while a spilled body is read: it is in the page cache, and the descriptor is only
    // known to be the request's for as long as the request cannot end.

    private static func take(_ input: UnsafeMutablePointer<granite_input>, _ count: Int) -> Object? {
        let position = input.pointee.position
        if let bytes = input.pointee.bytes {
            input.pointee.position += count
            return PyBytes_FromStringAndSize(
                UnsafeRawPointer(bytes + position).assumingMemoryBound(to: CChar.self), count)
        }
        guard let result = PyBytes_FromStringAndSize(nil, count) else { return nil }
        guard count > 0 else { return result }
        guard let target = PyBytes_AsString(result),
            readFile(input.pointee.descriptor, target, count, position) == count
        else {
            result.release()
            PyErr_SetString(
                granite_python_OSError(), "the request's body could not be read back from its temporary file")
            return nil
        }
        input.pointee.position += count
        return result
    }

    /// Up to and with the next newline, at most `limit` bytes unless it is negative.
    private static func takeLine(_ input: UnsafeMutablePointer<granite_input>, _ limit: Int) -> Object? {
        let rest = input.pointee.length - input.pointee.position
        let most = limit < 0 ? rest : min(limit, rest)
        guard most > 0 else { return PyBytes_FromStringAndSize(nil, 0) }
        if let bytes = input.pointee.bytes {
            let start = bytes + input.pointee.position
            let newline = memchr(start, 10, most)
            return take(input, newline.map { UnsafeRawPointer($0) - UnsafeRawPointer(start) + 1 } ?? most)
        }
        return withUnsafeTemporaryAllocation(byteCount: 8192, alignment: 16) { block -> Object? in
            guard let start = block.baseAddress else { return nil }
            var length = 0
            while length < most {
                let count = readFile(
                    input.pointee.descriptor, start, min(block.count, most - length), input.pointee.position + length)
                guard count > 0 else { break }
                if let newline = memchr(start, 10, count) {
                    length += UnsafeRawPointer(newline) - UnsafeRawPointer(start) + 1
                    break
                }
                length += count
            }
            return take(input, length == 0 ? most : length)  // a file that ended early is take's error
        }
    }

    /// pread(2) until `count` bytes are there, the file ends or fails. Returns the bytes read.
    private static func readFile(_ descriptor: Int32, _ target: UnsafeMutableRawPointer, _ count: Int, _ offset: Int)
        -> Int
    {
        var done = 0
        while done < count {
            let got = pread(descriptor, target + done, count - done, offset + done)
            if got < 0 && errno == EINTR { continue }
            guard got > 0 else { break }
            done += got
        }
        return done
    }
}
