// Defines `start_response` and `write`, the two functions that a WSGI application calls. Separate from WSGIThread,
// which does what they ask for: here are only arguments, and what happens after the request is over.

import CPython

/// The built-in functions, and the object that they are bound to.
enum ResponseFunctions {
    static func makeType() -> Object? {
        HeapType.make(
            "granite.Response", size: MemoryLayout<granite_response>.size,
            slots: [(GRANITE_TP_DEALLOC, unsafeBitCast(HeapType.plainDeallocator, to: UnsafeMutableRawPointer.self))])
    }

    // Never written after they are made: Python only reads them.
    nonisolated(unsafe) static let startResponseMethod = HeapType.table([
        HeapType.method("start_response", startResponse)
    ])
    nonisolated(unsafe) static let writeMethod = HeapType.table([HeapType.method("write", oneArgument: write)])

    @inline(__always)
    static func fields(_ object: Object) -> UnsafeMutablePointer<granite_response> {
        UnsafeMutableRawPointer(object).assumingMemoryBound(to: granite_response.self)
    }

    private static let startResponse: FastFunction = { object, arguments, count, names in
        guard let object else { return nil }
        var status: Object?
        var headers: Object?
        var exception: Object?
        if names == nil, count == 2 || count == 3, let arguments {
            status = arguments[0]
            headers = arguments[1]
            exception = count == 3 ? arguments[2] : nil
        } else {
            let isRead = FastArguments(arguments, count, names).read(
                "start_response", ["status", "headers", "exc_info"]
            ) { place, value in
                if place == 0 { status = value } else if place == 1 { headers = value } else { exception = value }
            }
            guard isRead else { return nil }
        }
        guard let status, let headers else {
            PyErr_SetString(
                granite_python_TypeError(), "start_response(status, headers, exc_info=None) was called without headers")
            return nil
        }
        let started = withThread(object, "start_response") { thread in
            thread.startResponse(status: status, headers: headers, exception: exception)
        }
        guard started, let write = fields(object).pointee.write else { return nil }
        return write.retained()
    }

    private static let write: UnaryFunction = { object, data in
        guard let object, let data, withThread(object, "write", { $0.write(data) }) else { return nil }
        return granite_python_None().retained()
    }

    /// Runs `body` with the thread that serves the request; after the request that is a Python error, and false.
    @inline(__always)
    private static func withThread(_ object: Object, _ function: StaticString, _ body: (WSGIThread) -> Bool) -> Bool {
        guard let thread = fields(object).pointee.thread else {
            PyErr_SetString(granite_python_RuntimeError(), "\(function) was called after its request had ended")
            return false
        }
        // The thread is inside of respond(to:), which keeps it alive.
        return Unmanaged<WSGIThread>.fromOpaque(thread)._withUnsafeGuaranteedRef(body)
    }
}
