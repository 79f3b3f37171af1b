// The Python objects of a request: `wsgi.input`, `start_response` and `write`. The next request uses them again, unless
// the application kept one: then they are closed and left to it, and which thread drops them does not matter.

import CPython
import GraniteExchange

/// The objects that the current request of one thread uses. All use needs the GIL.
final class RequestObjects {
    /// `wsgi.input`.
    let input: Object
    /// The callable given to the application.
    let startResponse: Object
    /// What `start_response` returns.
    private let write: Object
    /// What both are bound to.
    private let response: Object

    /// nil: a Python error is set.
    init?(_ types: WSGIApplication.Types) {
        guard let input = PyType_GenericAlloc(OpaquePointer(types.input), 0) else { return nil }
        guard let response = PyType_GenericAlloc(OpaquePointer(types.response), 0),
            let startResponse = PyCFunction_NewEx(ResponseFunctions.startResponseMethod, response, nil),
            let write = PyCFunction_NewEx(ResponseFunctions.writeMethod, response, nil)
        else {
            input.release()  // what else was made is lost: memory ran out
            return nil
        }
        self.input = input
        self.response = response
        self.startResponse = startResponse
        self.write = write
    }

    @inline(__always)
    func open(_ body: RequestBody, thread: UnsafeMutableRawPointer) {
        RequestInput.open(input, body)
        let fields = ResponseFunctions.fields(response)
        fields.pointee.thread = thread
        fields.pointee.write = write
    }

    /// The request is over: the objects forget the transport.
    ///
    /// - Returns: whether they may serve the next request; else they were given up.
    @inline(__always)
    func close() -> Bool {
        RequestInput.close(input)
        let fields = ResponseFunctions.fields(response)
        fields.pointee.thread = nil
        // The response is held by this object and by its two functions.
        if input.isUniquelyReferenced && startResponse.isUniquelyReferenced && write.isUniquelyReferenced
            && response.pointee.ob_refcnt == 3
        {
            return true
        }
        abandon()
        return false
    }

    /// Gives all references up.
    func abandon() {
        ResponseFunctions.fields(response).pointee.write = nil
        for object in [input, startResponse, write, response] { object.release() }
    }
}
