// Turns `module:attribute` into a Python callable, or into a sentence that says what to type instead.

import CPython

/// Loads applications. All functions need the GIL.
enum ApplicationLoader {
    /// Imports the module, finds the attribute, calls the factory.
    ///
    /// - Parameter directory: where modules are looked for first; for messages only.
    /// - Returns: the application, owned.
    static func load(_ target: ApplicationTarget, directory: String) throws(WSGIError) -> Object {
        guard let module = target.module.withCString({ PyImport_ImportModule($0) }) else {
            throw importError(target, directory)
        }
        defer { module.release() }
        let (object, attribute) = try find(target, module)
        defer { object.release() }
        let name = "\(target.module):\(attribute)"
        guard target.isFactory else {
            try check(object, name)
            return object.retained()
        }
        guard PyCallable_Check(object) != 0 else {
            throw WSGIError(
                .notCallable, "\(name) is a \(PythonText.typeName(object)), which cannot be called as a factory")
        }
        guard let made = pythonCall(object) else {
            throw raised(.factoryFailed, "the factory \(name)() raised", hint: "It is called without arguments")
        }
        defer { made.release() }
        try check(made, "what \(name)() returned")
        return made.retained()
    }

    // MARK: Module

    private static func importError(_ target: ApplicationTarget, _ directory: String) -> WSGIError {
        let exception = PythonException.fetch()
        defer { exception.release() }
        let missing = exception.matches(granite_python_ModuleNotFoundError()) ? exception.attribute("name") : nil
        if let missing, target.module == missing || target.module.hasPrefix(missing + ".") {
            return WSGIError(
                .moduleNotFound, "there is no module \(missing) in \(directory), nor on sys.path",
                hint: "Start in the application's folder, or give it with --chdir")
        }
        let hint = missing.map { "Install the package that has \($0) into this Python environment" }
        return WSGIError(
            .importFailed, "importing \(target.module) raised \(exception.summary)", hint: hint,
            traceback: exception.formatted())
    }

    private static func raised(_ code: WSGIError.Code, _ message: String, hint: String? = nil) -> WSGIError {
        let exception = PythonException.fetch()
        defer { exception.release() }
        return WSGIError(code, "\(message) \(exception.summary)", hint: hint, traceback: exception.formatted())
    }

    // MARK: Attribute

    private static func find(_ target: ApplicationTarget, _ module: Object) throws(WSGIError) -> (Object, String) {
        let choices = target.attributes.map { [$0] } ?? [["app"], ["application"]]
        for path in choices {
            if let object = follow(path, from: module) { return (object, path.joined(separator: ".")) }
        }
        let wanted = choices.map { $0.joined(separator: ".") }.joined(separator: " or ")
        let candidates = candidates(target.module, module)
        let hint: String
        if let only = candidates.first, candidates.count == 1 {
            hint = "Did you mean \(only)?"
        } else if candidates.isEmpty {
            hint = "Nothing in it looks like a WSGI application"
        } else {
            hint = "These look like applications: " + candidates.joined(separator: ", ")
        }
        let file = PythonText.attribute(module, "__file__").map { " (\($0))" } ?? ""
        throw WSGIError(.attributeNotFound, "module \(target.module)\(file) has no attribute \(wanted)", hint: hint)
    }

    private static func follow(_ path: [String], from module: Object) -> Object? {
        var object = module.retained()
        for name in path {
            let next = object.attribute(name)
            object.release()
            guard let next else { return nil }
            object = next
        }
        return object
    }

    /// Names in the module that could be meant, at most five, as they would be typed.
    private static func candidates(_ moduleName: String, _ module: Object) -> [String] {
        guard let names = PyModule_GetDict(module) else { return [] }
        var found: [String] = []
        var position = 0
        var key: Object?
        var value: Object?
        // PyDict_Next is only valid while the dict does not change, so what asks Python code is done after.
        var entries: [(String, Object)] = []
        while entries.count < 2000, PyDict_Next(names, &position, &key, &value) != 0 {
            if let key, let value, let name = PythonText.string(key, limit: 100), !name.hasPrefix("_") {
                entries.append((name, value.retained()))
            }
        }
        for (name, value) in entries {
            if found.count < 5 {
                if looksLikeApplication(value) {
                    found.append("\(moduleName):\(name)")
                } else if looksLikeFactory(name, value) {
                    found.append("\(moduleName):\(name)()")
                }
            }
            value.release()
        }
        return found
    }

    private static func looksLikeApplication(_ value: Object) -> Bool {
        if ["Flask", "WSGIHandler", "Bottle"].contains(PythonText.typeName(value)) { return true }
        if let method = Object(value.pointee.ob_type).attribute("wsgi_app") {
            method.release()
            return true
        }
        return argumentCount(value) == 2
    }

    private static func looksLikeFactory(_ name: String, _ value: Object) -> Bool {
        ["create_app", "make_app", "build_app", "create_application", "make_application"].contains(name)
            && argumentCount(value) != nil
    }

    /// The positional parameters of a Python function; nil for everything else.
    private static func argumentCount(_ value: Object) -> Int? {
        guard PythonText.typeName(value) == "function", let code = value.attribute("__code__") else { return nil }
        defer { code.release() }
        return PythonText.number(code, "co_argcount")
    }

    // MARK: Application

    private static func check(_ object: Object, _ name: String) throws(WSGIError) {
        guard PyCallable_Check(object) != 0 else {
            throw WSGIError(
                .notCallable, "\(name) is a \(PythonText.typeName(object)), which is not callable",
                hint: "A WSGI application is called with environ and start_response (PEP 3333)")
        }
        if isCoroutineFunction(object) {
            throw WSGIError(
                .notCallable, "\(name) is asynchronous (ASGI), and Granite serves WSGI",
                hint: "Wrap it, for example with a2wsgi.ASGIMiddleware")
        }
    }

    /// Whether calling it makes a coroutine: `async def app(scope, receive, send)`, or an instance with an async
    /// `__call__`.
    private static func isCoroutineFunction(_ object: Object) -> Bool {
        let coroutineFlag = 0x80  // inspect.CO_COROUTINE
        func isAsync(_ function: Object) -> Bool {
            guard let code = function.attribute("__code__") else { return false }
            defer { code.release() }
            return (PythonText.number(code, "co_flags") ?? 0) & coroutineFlag != 0
        }
        if PythonText.typeName(object) == "function" { return isAsync(object) }
        guard let call = Object(object.pointee.ob_type).attribute("__call__") else { return false }
        defer { call.release() }
        return isAsync(call)
    }
}
