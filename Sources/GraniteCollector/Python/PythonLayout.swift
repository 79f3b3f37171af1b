// Defines where one minor version of CPython keeps what the reader needs. The rows are generated (generate-layouts/),
// the meaning is here.

/// Offsets in bytes, each from the start of the structure that it is named after. nil: this version has no such field.
struct PythonLayout: Equatable, Sendable {
    /// The 11 of 3.11.
    var minor: Int

    // _PyRuntimeState; the GIL lies in it up to 3.11.
    var runtimeInterpreters: Int
    var runtimeGIL: Int?

    // PyInterpreterState; from 3.12 on it points to its GIL.
    var interpreterNext: Int
    var interpreterRuntime: Int
    var interpreterThreads: Int
    var interpreterCollecting: Int
    var interpreterGIL: Int?

    // struct _gil_runtime_state
    var gilHolder: Int
    var gilLocked: Int
    var gilBytes: Int

    // PyThreadState; 3.11 and 3.12 reach the innermost frame by way of a _PyCFrame on the C stack, 3.10 has one only
    // beside it.
    var threadNext: Int
    var threadInterpreter: Int
    var threadID: Int
    var threadNativeID: Int?
    var threadFrame: Int?
    var threadCFrame: Int?
    var cframeFrame: Int?

    // _PyInterpreterFrame, PyFrameObject before 3.11
    var framePrevious: Int
    var frameCode: Int
    /// f_lasti (an index) before 3.11, then a pointer into the code object.
    var frameInstruction: Int
    var frameIsEntry: Int?
    var frameOwner: Int?

    // PyCodeObject
    var codeFile: Int
    var codeName: Int
    var codeQualifiedName: Int?
    var codeFirstLine: Int
    var codeLineTable: Int
    var codeInstructions: Int?

    // PyObject, PyVarObject, PyTypeObject, PyBytesObject
    var objectType: Int
    var objectSize: Int
    var typeName: Int
    var bytesData: Int

    // PyASCIIObject and PyCompactUnicodeObject; bits of the 32 bit word `state`.
    var textLength: Int
    var textState: Int
    var textKindBit: Int
    var textCompactBit: Int
    var textASCIIBit: Int
    var textASCIIData: Int
    var textData: Int

    static let supported = [python39, python310, python311, python312, python313]

    /// The layout of a release; nil for a version that nobody has checked. Alphas and betas differ from their release.
    static func known(versionHex: UInt32) -> PythonLayout? {
        // PY_VERSION_HEX, C API manual "API and ABI Versioning": 0xMMmmppLS, L being 0xA alpha, 0xB beta, 0xC
        // candidate, 0xF final.
        guard versionHex >> 24 == 3, versionHex >> 4 & 0xF >= 0xC else { return nil }
        let minor = Int(versionHex >> 16 & 0xFF)
        return supported.first { $0.minor == minor }
    }

    /// How much of a frame is read.
    var frameBytes: Int { max(framePrevious, frameCode, frameInstruction, frameIsEntry ?? 0, frameOwner ?? 0) + 8 }
    /// How much of a code object is read.
    var codeBytes: Int {
        max(objectType, objectSize, codeFile, codeName, codeQualifiedName ?? 0, codeFirstLine, codeLineTable) + 8
    }
    /// How much of a string is read before its length is known.
    var textHeaderBytes: Int { max(objectType, textLength, textState, textASCIIData, textData, bytesData) + 8 }

    var lineTable: PythonLineTable.Format {
        switch minor {
        case ..<10: .lnotab
        case 10: .linetable
        default: .locations
        }
    }
}
