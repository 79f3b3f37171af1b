// Makes Python classes out of C-callable Swift functions (PyType_FromSpec). Separate from the classes so that each of
// them shows only what it does.

import CPython

/// `method(self, args, nargs, kwnames)`, METH_FASTCALL | METH_KEYWORDS.
typealias FastFunction = @convention(c) (Object?, UnsafePointer<Object?>?, Int, Object?) -> Object?
/// `method(self, arg)`, METH_O; also METH_NOARGS, with a NULL.
typealias UnaryFunction = @convention(c) (Object?, Object?) -> Object?

/// Descriptions that Python keeps pointers into: allocated once per process, never freed.
enum HeapType {
    static func method(_ name: StaticString, _ function: FastFunction) -> PyMethodDef {
        method(name, unsafeBitCast(function, to: UnsafeMutableRawPointer.self), Int32(GRANITE_METH_FASTCALL_KEYWORDS))
    }

    static func method(_ name: StaticString, noArguments function: UnaryFunction) -> PyMethodDef {
        method(name, unsafeBitCast(function, to: UnsafeMutableRawPointer.self), Int32(GRANITE_METH_NOARGS))
    }

    static func method(_ name: StaticString, oneArgument function: UnaryFunction) -> PyMethodDef {
        method(name, unsafeBitCast(function, to: UnsafeMutableRawPointer.self), Int32(GRANITE_METH_O))
    }

    private static func method(_ name: StaticString, _ function: UnsafeMutableRawPointer, _ flags: Int32) -> PyMethodDef
    {
        PyMethodDef(
            ml_name: UnsafeRawPointer(name.utf8Start).assumingMemoryBound(to: CChar.self), ml_meth: function,
            ml_flags: flags, ml_doc: nil)
    }

    /// A method table that lives for ever, closed by an empty entry.
    static func table(_ methods: [PyMethodDef]) -> UnsafeMutablePointer<PyMethodDef> {
        let table = UnsafeMutablePointer<PyMethodDef>.allocate(capacity: methods.count + 1)
        for (index, method) in methods.enumerated() { (table + index).initialize(to: method) }
        (table + methods.count).initialize(to: PyMethodDef())
        return table
    }

    /// A new class; nil: a Python error is set.
    static func make(
        _ name: StaticString, size: Int, flags: Int = 0, slots: [(slot: Int, function: UnsafeMutableRawPointer)]
    ) -> Object? {
        let table = UnsafeMutablePointer<PyType_Slot>.allocate(capacity: slots.count + 1)
        for (index, entry) in slots.enumerated() {
            (table + index).initialize(to: PyType_Slot(slot: Int32(entry.slot), pfunc: entry.function))
        }
        (table + slots.count).initialize(to: PyType_Slot())
        let spec = UnsafeMutablePointer<PyType_Spec>.allocate(capacity: 1)
        spec.initialize(
            to: PyType_Spec(
                name: UnsafeRawPointer(name.utf8Start).assumingMemoryBound(to: CChar.self), basicsize: Int32(size),
                itemsize: 0,
                flags: UInt32(GRANITE_TPFLAGS_DEFAULT | flags), slots: table))
        return PyType_FromSpec(spec)
    }

    /// tp_dealloc of classes whose objects own nothing: frees the object, and its reference to the class.
    static let plainDeallocator: @convention(c) (Object?) -> Void = { object in
        guard let object else { return }
        let type = Object(object.pointee.ob_type)
        PyObject_Free(object)
        type.release()
    }
}

/// Arguments of a FastFunction, borrowed.
struct FastArguments {
    private let values: UnsafePointer<Object?>?
    private let positional: Int
    private let names: Object?

    @inline(__always)
    init(_ values: UnsafePointer<Object?>?, _ count: Int, _ names: Object?) {
        self.values = values
        positional = count
        self.names = names
    }

    /// Reads at most `parameters.count` arguments by place or name. False: a TypeError is set.
    @inline(__always)
    func read(_ function: StaticString, _ parameters: [StaticString], into store: (Int, Object) -> Void) -> Bool {
        guard positional <= parameters.count else { return refuse(function, "takes fewer arguments") }
        for index in 0..<positional {
            if let value = values?[index] { store(index, value) }
        }
        guard let names else { return true }
        return readNamed(function, parameters, names, store)
    }

    private func readNamed(
        _ function: StaticString, _ parameters: [StaticString], _ names: Object, _ store: (Int, Object) -> Void
    ) -> Bool {
        for index in 0..<PyTuple_Size(names) {
            guard let name = PyTuple_GetItem(names, index), let text = PythonText.string(name, limit: 100) else {
                return false
            }
            guard let place = parameters.firstIndex(where: { $0.description == text }), place >= positional else {
                return refuse(function, "got an unexpected or repeated argument '\(text)'")
            }
            if let value = values?[positional + index] { store(place, value) }
        }
        return true
    }

    private func refuse(_ function: StaticString, _ reason: String) -> Bool {
        PyErr_SetString(granite_python_TypeError(), "\(function)() \(reason)")
        return false
    }
}
