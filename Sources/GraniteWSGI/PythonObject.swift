// The few words in which this module speaks of Python objects. Separate so that every file uses the same ones.

import CPython
import Glibc

/// A reference to a Python object. Whether it is owned or borrowed is said where it is kept; all use needs the GIL.
typealias Object = UnsafeMutablePointer<PyObject>

extension UnsafeMutablePointer<PyObject> {
    /// Takes one more reference, and returns it.
    @inline(__always)
    func retained() -> Object {
        Py_IncRef(self)
        return self
    }

    /// Gives one reference back. May run any Python code (`__del__`).
    @inline(__always)
    func release() { Py_DecRef(self) }

    /// Whether its class is exactly this one.
    @inline(__always)
    func isExactly(_ type: Object) -> Bool { pointee.ob_type == OpaquePointer(type) }

    /// Whether its class, or a base of it, has this flag (GRANITE_TPFLAGS_…): list, tuple, bytes, str, int.
    @inline(__always)
    func hasFlag(_ flag: Int) -> Bool { PyType_GetFlags(pointee.ob_type) & UInt(flag) != 0 }

    var isBytes: Bool { hasFlag(GRANITE_TPFLAGS_BYTES_SUBCLASS) }
    var isText: Bool { hasFlag(GRANITE_TPFLAGS_UNICODE_SUBCLASS) }
    var isTuple: Bool { hasFlag(GRANITE_TPFLAGS_TUPLE_SUBCLASS) }
    var isList: Bool { hasFlag(GRANITE_TPFLAGS_LIST_SUBCLASS) }

    /// Whether nobody but the one reference that the caller owns is left. In builds with a GIL a live object's count is
    /// a plain number (from 3.12 on only immortal objects use the upper half).
    @inline(__always)
    var isUniquelyReferenced: Bool { pointee.ob_refcnt == 1 }

    /// An attribute, owned; nil, without a Python error, if there is none or asking raised.
    func attribute(_ name: String) -> Object? {
        guard let value = PyObject_GetAttrString(self, name) else {
            PyErr_Clear()
            return nil
        }
        return value
    }
}

/// Calls with one positional argument, borrowed. The result is owned; nil: a Python error is set.
func pythonCall(_ callable: Object, _ argument: Object) -> Object? {
    pythonCall(callable, (argument, argument, argument), count: 1)
}

/// Calls with two positional arguments, borrowed. The result is owned; nil: a Python error is set.
@inline(__always)
func pythonCall(_ callable: Object, _ first: Object, _ second: Object) -> Object? {
    pythonCall(callable, (first, first, second), count: 2)
}

/// The first element is only room: PY_VECTORCALL_ARGUMENTS_OFFSET lets the callee overwrite it.
@inline(__always)
private func pythonCall(_ callable: Object, _ vector: (Object, Object, Object), count: Int) -> Object? {
    var vector = vector
    return withUnsafeMutablePointer(to: &vector) {
        $0.withMemoryRebound(to: Object.self, capacity: 3) { granite_python_call(callable, $0 + 1, count) }
    }
}

/// Calls without arguments. The result is owned; nil: a Python error is set.
func pythonCall(_ callable: Object) -> Object? { PyObject_CallObject(callable, nil) }

/// A new Python str of this text; nil: a Python error is set.
func pythonText(_ text: String) -> Object? {
    var text = text
    return text.withUTF8 { bytes in
        bytes.withMemoryRebound(to: CChar.self) {
            PyUnicode_DecodeUTF8($0.baseAddress ?? emptyCString, $0.count, "surrogateescape")
        }
    }
}

/// A new Python str of a path or argument, in the encoding that `os.fsencode` reverses.
func pythonPath(_ path: String) -> Object? {
    path.withCString { PyUnicode_DecodeFSDefaultAndSize($0, strlen($0)) }
}

/// A zero byte that outlives everything: for calls that want a pointer even to nothing.
nonisolated(unsafe) let emptyCString: UnsafePointer<CChar> = {  // written once, before anyone reads it
    let zero = UnsafeMutablePointer<CChar>.allocate(capacity: 1)
    zero.initialize(to: 0)
    return UnsafePointer(zero)
}()
