// Defines where one minor version of CPython keeps what exceptions, names of threads and local variables are read by.
// Separate from PythonLayout, whose fields every report needs: a wrong one here must never cost a stack.

/// Offsets in bytes, each from the start of the structure that it is named after. nil: this version has no such field.
/// The rows are generated (generate-layouts/).
struct PythonObjectLayout: Equatable, Sendable {
    /// The 11 of 3.11.
    var minor: Int

    // PyInterpreterState.gc: objects allocated, or collections, since the last collection of that generation.
    var interpreterMiddleGeneration: Int
    var interpreterOldGeneration: Int

    // PyThreadState: the stack of exceptions being handled, and the one that is on its way; _PyErr_StackItem.
    var threadHandled: Int
    var threadRaised: Int
    var handledValue: Int
    var handledPrevious: Int

    // PyBaseExceptionObject
    var exceptionArguments: Int
    var exceptionTraceback: Int

    // PyTracebackObject
    var tracebackNext: Int
    var tracebackFrame: Int
    var tracebackInstruction: Int
    var tracebackLine: Int

    // PyFrameObject (from 3.11 on it only points to the frame), then the frame itself.
    var frameObjectFrame: Int?
    var frameLocals: Int

    // PyCodeObject: from 3.11 on one tuple names all variables and a byte each says what it is. PyCellObject.
    var codeLocalNames: Int
    var codeLocalKinds: Int?
    var codeCellNames: Int?
    var codeFreeNames: Int?
    var cellValue: Int

    // PyTypeObject, PyHeapTypeObject
    var typeFlags: Int
    var typeBasicSize: Int
    var typeDictOffset: Int
    var typeDict: Int
    var typeCachedKeys: Int

    // PyTupleObject, PyListObject, PyFloatObject, PyLongObject, PySetObject
    var tupleItems: Int
    var listItems: Int
    var floatValue: Int
    var intDigits: Int
    var setUsed: Int

    // PyDictObject, PyDictKeysObject, PyDictValues
    var dictUsed: Int
    var dictKeys: Int
    var dictValues: Int
    var keysLog2IndexBytes: Int?
    var keysKind: Int?
    var keysSize: Int?
    var keysEntries: Int
    var keysIndices: Int
    var valuesItems: Int
    var valuesValid: Int?

    static let supported = [python39, python310, python311, python312, python313]

    /// nil where the process tells another layout of threads, frames or code than the row's: then it is no build that
    /// anybody has checked, and only its stacks are read.
    static func known(for told: PythonLayout) -> PythonObjectLayout? {
        guard PythonLayout.supported.contains(told) else { return nil }
        return supported.first { $0.minor == told.minor }
    }

    /// How much of a type is read.
    var typeBytes: Int { max(typeFlags, typeBasicSize, typeDictOffset, typeDict, typeCachedKeys) + 8 }
    /// How much of a dictionary's keys is read before its size is known.
    var keysBytes: Int { max(keysEntries, keysIndices, keysSize ?? 0, keysKind ?? 0) + 8 }
}
