// Defines the loaded application as the transport sees it. Separate from its threads: this is what they share.

import CPython
package import GraniteExchange

/// A WSGI application, ready to be called. Its threads share it under the GIL.
package final class WSGIApplication: Application {
    let interpreter: PythonInterpreter
    /// The callable, owned for the process's life.
    let callable: Object
    let environ: Environ
    let types: Types
    let requestIDPrefix: String
    /// The interned str "close".
    let closeName: Object

    /// The classes that applications see, owned for the process's life.
    struct Types {
        let input: Object
        let response: Object
        let fileWrapper: Object
    }

    /// Loads the application. With the GIL free, on the main thread. Import may take as long as the application's
    /// modules like.
    ///
    /// - Parameter directory: where modules are looked for first, for the message when there is none.
    package init(
        _ target: ApplicationTarget, configuration: WSGIConfiguration, interpreter: PythonInterpreter, directory: String
    ) throws(WSGIError) {
        self.interpreter = interpreter
        requestIDPrefix = configuration.requestIDPrefix
        (callable, environ, types, closeName) = try interpreter.withGIL {
            () throws(WSGIError) -> (Object, Environ, Types, Object) in
            let callable = try ApplicationLoader.load(target, directory: directory)
            guard let input = RequestInput.makeType(), let response = ResponseFunctions.makeType(),
                let fileWrapper = FileWrapper.makeType(), let closeName = PyUnicode_InternFromString("close"),
                let environ = Environ(configuration, fileWrapper: fileWrapper)
            else {
                let error = PythonException.fetch()
                defer { error.release() }
                throw WSGIError(
                    .interpreterFailed, "the server's own Python classes could not be made: \(error.summary)")
            }
            let types = Types(input: input, response: response, fileWrapper: fileWrapper)
            return (callable, environ, types, closeName)
        }
    }

    package func makeThread() -> any ApplicationThread { WSGIThread(self) }
}
