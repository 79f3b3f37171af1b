// Copies Python's words into Swift strings: for logs, errors and crash reports, never on the way of a request.

import CPython

/// Text taken out of Python objects. All functions need the GIL, swallow what goes wrong, and leave no Python error
/// set.
enum PythonText {
    /// The text of a str, lone surrogates escaped, at most `limit` bytes of UTF-8.
    static func string(_ object: Object, limit: Int = 1 << 20) -> String? {
        guard object.isText, let bytes = PyUnicode_AsEncodedString(object, "utf-8", "backslashreplace") else {
            PyErr_Clear()
            return nil
        }
        defer { bytes.release() }
        guard let start = PyBytes_AsString(bytes) else { return nil }
        let count = Int(PyBytes_Size(bytes))
        let text = String(
            decoding: UnsafeRawBufferPointer(start: start, count: min(max(count, 0), limit)), as: UTF8.self)
        return count > limit ? text + "…" : text
    }

    /// `str(object)`; runs Python code.
    static func str(_ object: Object, limit: Int) -> String? { convert(object, limit, PyObject_Str) }

    /// `repr(object)`; runs Python code.
    static func repr(_ object: Object, limit: Int) -> String? { convert(object, limit, PyObject_Repr) }

    private static func convert(_ object: Object, _ limit: Int, _ conversion: (Object) -> Object?) -> String? {
        guard let text = conversion(object) else {
            PyErr_Clear()
            return nil
        }
        defer { text.release() }
        return string(text, limit: limit)
    }

    /// The class's name, "ValueError".
    static func typeName(_ object: Object) -> String {
        // A class is an object: its own ob_type leads to its name.
        let type = Object(object.pointee.ob_type)
        return name(ofType: type)
    }

    static func name(ofType type: Object) -> String {
        guard let name = type.attribute("__name__") else { return "?" }
        defer { name.release() }
        return string(name, limit: 200) ?? "?"
    }

    /// A str attribute.
    static func attribute(_ object: Object, _ name: String, limit: Int = 4096) -> String? {
        guard let value = object.attribute(name) else { return nil }
        defer { value.release() }
        return string(value, limit: limit)
    }

    /// An int attribute.
    static func number(_ object: Object, _ name: String) -> Int? {
        guard let value = object.attribute(name) else { return nil }
        defer { value.release() }
        let number = PyLong_AsLong(value)
        guard PyErr_Occurred() == nil else {
            PyErr_Clear()
            return nil
        }
        return number
    }
}
