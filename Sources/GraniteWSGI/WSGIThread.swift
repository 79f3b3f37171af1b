// Serves requests on one thread: environ, the call, the body. Called from here, by vectorcall, the application's
// outermost Python frame is its own: no frame of the server is in the chain that a traceback can keep alive.

import CPython
import Glibc
import GraniteExchange

/// One application thread. Entered (GIL held) whenever it touches Python; all state is this thread's.
final class WSGIThread: ApplicationThread {
    private let application: WSGIApplication
    private let state: PythonThreadState
    private let owner = pthread_self()
    private var objects: RequestObjects?

    // Of the current request. Exclusivity needs no run-time check: one thread, and each access is a whole load or
    // store.
    @exclusivity(unchecked) private unowned(unsafe) var current: (any Exchange)?
    @exclusivity(unchecked) private var head = Head.none
    /// Content-Length as the application declared it, -1 without.
    @exclusivity(unchecked) private var declaredLength = -1
    @exclusivity(unchecked) private var sentLength = 0
    @exclusivity(unchecked) private var isClientGone = false

    private enum Head {
        /// `start_response` was not called, or refused what it was given.
        case none
        case begun
        case committed
    }

    init(_ application: WSGIApplication) {
        self.application = application
        state = application.interpreter.makeThreadState()
    }

    func enter() { state.enter() }

    func leave() { state.leave() }

    func close() {
        state.enter()
        objects?.abandon()
        objects = nil
        state.closeAndLeave()
    }

    // MARK: A request

    func respond(to exchange: any Exchange) {
        let request = exchange.request
        guard let objects = objects ?? RequestObjects(application.types) else {
            return fail(exchange, request)
        }
        self.objects = objects
        current = exchange
        head = .none
        declaredLength = -1
        sentLength = 0
        isClientGone = false
        objects.open(request.body, thread: Unmanaged.passUnretained(self).toOpaque())
        if let environ = application.environ.make(request, input: objects.input) {
            if let result = pythonCall(application.callable, environ, objects.startResponse) {
                send(result, exchange, request)
                result.release()
            } else {
                fail(exchange, request)
            }
            environ.release()
        } else {
            fail(exchange, request)
        }
        // Objects that the application still holds stay behind, closed; the next request gets new ones.
        if !objects.close() { self.objects = nil }
        current = nil
    }

    /// The exception that is set becomes a 500, or a cut connection, and is printed with its traceback. SystemExit and
    /// KeyboardInterrupt are no exception to that: a request must not end the worker.
    private func fail(_ exchange: any Exchange, _ request: Request) {
        RequestError.report(request, idPrefix: application.requestIDPrefix)
        exchange.fail()
        // Python code still runs for this request: close(), `finally`, destructors. Nothing that they call may begin a
        // response that is over: as after a head that is out, start_response raises what it is given, write is dropped.
        head = .committed
        isClientGone = true
    }

    // MARK: The body

    private func send(_ result: Object, _ exchange: any Exchange, _ request: Request) {
        if result.isExactly(granite_python_list()) {
            sendWhole(result, PyList_Size(result), PyList_GetItem, exchange, request)
        } else if result.isExactly(granite_python_tuple()) {
            sendWhole(result, PyTuple_Size(result), PyTuple_GetItem, exchange, request)
        } else {
            let isSent = result.isExactly(application.types.fileWrapper) && sendFile(result, exchange)
            if isSent || iterate(result, exchange, request) { finish(exchange) } else { fail(exchange, request) }
            closeIterable(result, request)
        }
    }

    private func finish(_ exchange: any Exchange) {
        // What a gone client misses must not look like a whole body to a proxy between.
        if isClientGone { exchange.fail() } else { exchange.finish() }
    }

    /// A list or tuple: the length is known, so Content-Length is sent.
    @inline(__always)
    private func sendWhole(
        _ result: Object, _ count: Int, _ item: (Object, Int) -> Object?, _ exchange: any Exchange, _ request: Request
    ) {
        var length = 0
        for index in 0..<count {
            guard let chunk = item(result, index), chunk.isBytes else {
                refuseChunk(item(result, index))
                return fail(exchange, request)
            }
            length += PyBytes_Size(chunk)
        }
        guard commit(exchange, length: length) else { return fail(exchange, request) }
        for index in 0..<count {
            // Asked again: while the GIL is free in write() another thread may change the list.
            guard let chunk = item(result, index), chunk.isBytes else {
                PyErr_Clear()
                break
            }
            guard write(chunk, exchange) else { break }
        }
        finish(exchange)
    }

    /// Any other iterable: each chunk is on its way before the next is asked for. False: a Python error is set.
    private func iterate(_ result: Object, _ exchange: any Exchange, _ request: Request) -> Bool {
        guard let iterator = PyObject_GetIter(result) else {
            refuseResult(result)
            return false
        }
        defer { iterator.release() }
        while !isClientGone, let chunk = PyIter_Next(iterator) {
            defer { chunk.release() }
            guard chunk.isBytes else {
                refuseChunk(chunk)
                return false
            }
            if PyBytes_Size(chunk) == 0 { continue }
            // All that was declared is sent: what comes now cannot be, and may never end (PEP 3333, "Handling the
            // Content-Length header").
            if declaredLength >= 0 && sentLength >= declaredLength && head == .committed { break }
            guard commit(exchange, length: nil) else { return false }
            // HEAD: PEP 3333 lets a server stop here, and an endless iterable would never find out that nobody listens.
            guard exchange.wantsBody else { break }
            guard write(chunk, exchange) else { break }
            if declaredLength < 0 || sentLength < declaredLength { flush(exchange) }
        }
        guard PyErr_Occurred() == nil else { return false }
        // No chunk at all: the head goes alone.
        return commit(exchange, length: sentLength == 0 ? 0 : nil)
    }

    /// False: nothing was sent, the file must be iterated.
    private func sendFile(_ wrapper: Object, _ exchange: any Exchange) -> Bool {
        guard head != .none, let range = FileWrapper.range(wrapper) else { return false }
        let length = declaredLength >= 0 ? min(declaredLength, range.length) : range.length
        guard commit(exchange, length: range.length) else {
            PyErr_Clear()
            return false
        }
        state.leave()
        // Bytes that write() left behind go first, since the transport keeps order.
        let isSent =
            length == 0 || exchange.sendFile(descriptor: range.descriptor, offset: range.offset, length: length)
        state.enter()
        if !isSent { isClientGone = true }
        return true
    }

    /// Sends the head, if it was not. False: `start_response` was not called, and a Python error is set.
    @inline(__always)
    private func commit(_ exchange: any Exchange, length: Int?) -> Bool {
        if head == .committed { return true }
        guard head == .begun else {
            PyErr_SetString(
                granite_python_AssertionError(), "the application sent a body without calling start_response first")
            return false
        }
        head = .committed
        exchange.commit(bodyLength: declaredLength >= 0 ? nil : length)
        return true
    }

    /// False: the client is gone.
    @inline(__always)
    private func write(_ chunk: Object, _ exchange: any Exchange) -> Bool {
        let bytes = UnsafeRawBufferPointer(start: PyBytes_AsString(chunk), count: PyBytes_Size(chunk))
        sentLength &+= bytes.count
        if exchange.mayBlock {
            Py_IncRef(chunk)
            state.leave()
            isClientGone = !exchange.write(bytes)
            state.enter()
            Py_DecRef(chunk)
        } else {
            isClientGone = !exchange.write(bytes)
        }
        return !isClientGone
    }

    /// Puts the bytes on their way; where the socket is full, waits without the GIL.
    private func flush(_ exchange: any Exchange) {
        if !exchange.mayBlock {
            isClientGone = !exchange.flush()
            guard !isClientGone, exchange.mayBlock else { return }
        }
        state.leave()
        isClientGone = !exchange.flush()
        state.enter()
    }

    private func refuseChunk(_ chunk: Object?) {
        PyErr_Clear()
        let name = chunk.map(PythonText.typeName) ?? "nothing"
        PyErr_SetString(
            granite_python_TypeError(), "the body must be of bytes, and the application gave \(name) (PEP 3333)")
    }

    /// Says what an application returned that is no iterable at all; an `__iter__` that raised has said so itself.
    private func refuseResult(_ result: Object) {
        let type = Object(result.pointee.ob_type)
        if let method = type.attribute("__iter__") ?? type.attribute("__getitem__") { return method.release() }
        PyErr_Clear()
        PyErr_SetString(
            granite_python_TypeError(),
            "the application returned \(PythonText.typeName(result)), not an iterable of bytes (PEP 3333)")
    }

    /// `close()`, once, whatever happened before; its errors are printed, the response is over.
    private func closeIterable(_ result: Object, _ request: Request) {
        guard let close = PyObject_GetAttr(result, application.closeName) else { return PyErr_Clear() }
        defer { close.release() }
        if let nothing = pythonCall(close) {
            nothing.release()
        } else {
            RequestError.report(request, idPrefix: application.requestIDPrefix)
        }
    }

    // MARK: What the application calls

    /// `start_response`. False: a Python error is set.
    func startResponse(status: Object, headers: Object, exception: Object?) -> Bool {
        guard let exchange = exchangeOfThisThread("start_response") else { return false }
        if let exception, exception != granite_python_None() {
            guard exception.isTuple, PyTuple_Size(exception) == 3 else {
                PyErr_SetString(granite_python_TypeError(), "exc_info must be what sys.exc_info() returns")
                return false
            }
            if head == .committed { return raise(exception) }
        } else if head != .none {
            PyErr_SetString(
                granite_python_AssertionError(), "start_response was called a second time without exc_info (PEP 3333)")
            return false
        }
        head = .none
        guard let length = ResponseHead.begin(exchange, status: status, headers: headers) else { return false }
        declaredLength = length
        head = .begun
        return true
    }

    /// The head is out: nothing can replace it, so the application's exception goes on (PEP 3333, "The start_response()
    /// callable").
    private func raise(_ information: Object) -> Bool {
        guard let value = PyTuple_GetItem(information, 1), value != granite_python_None() else {
            PyErr_SetString(
                granite_python_AssertionError(), "start_response was called with exc_info after the headers were sent")
            return false
        }
        // PyErr_Restore believes what it is given: anything but an exception becomes one by casting (3.12 and later).
        guard value.hasFlag(GRANITE_TPFLAGS_BASE_EXC_SUBCLASS) else {
            PyErr_SetString(granite_python_TypeError(), "exc_info must be what sys.exc_info() returns")
            return false
        }
        let traceback = PyTuple_GetItem(information, 2).flatMap { $0 == granite_python_None() ? nil : $0 }
        PyErr_Restore(Object(value.pointee.ob_type).retained(), value.retained(), traceback?.retained())
        return false
    }

    /// `write`. False: a Python error is set.
    func write(_ data: Object) -> Bool {
        guard let exchange = exchangeOfThisThread("write") else { return false }
        guard data.isBytes else {
            refuseChunk(data)
            return false
        }
        if PyBytes_Size(data) == 0 { return true }
        guard commit(exchange, length: nil) else { return false }
        if isClientGone { return true }  // the application learns of it by its iteration being stopped
        if write(data, exchange) { flush(exchange) }
        return true
    }

    private func exchangeOfThisThread(_ function: StaticString) -> (any Exchange)? {
        guard pthread_equal(pthread_self(), owner) != 0, let current else {
            PyErr_SetString(
                granite_python_RuntimeError(), "\(function) was called on another thread than its request's")
            return nil
        }
        return current
    }
}
