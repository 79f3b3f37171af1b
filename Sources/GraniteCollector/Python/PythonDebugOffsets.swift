// Defines how CPython 3.13 tells its own layout, so that a patch release or a vendor's build that moved a field is
// still read right.

/// Positions in `_Py_DebugOffsets`, the structure at the start of `_PyRuntime` (pycore_runtime.h), each of a 64 bit
/// offset.
struct PythonDebugOffsets: Equatable, Sendable {
    var version: Int
    var freeThreaded: Int
    var size: Int
    var runtimeInterpreters: Int
    var interpreterNext: Int
    var interpreterThreads: Int
    var interpreterGC: Int
    var gcCollecting: Int
    var interpreterGIL: Int
    var ownGIL: Int
    var ownGILHolder: Int
    var ownGILLocked: Int
    var threadNext: Int
    var threadInterpreter: Int
    var threadID: Int
    var threadNativeID: Int
    var threadFrame: Int
    var framePrevious: Int
    var frameCode: Int
    var frameInstruction: Int
    var frameOwner: Int
    var codeFile: Int
    var codeName: Int
    var codeQualifiedName: Int
    var codeFirstLine: Int
    var codeLineTable: Int
    var codeInstructions: Int
    var objectType: Int
    var typeName: Int
    var bytesSize: Int
    var bytesData: Int
    var textLength: Int
    var textState: Int
    var textASCIIData: Int

    /// The eight bytes that every `_Py_DebugOffsets` starts with.
    static let cookie = Array("xdebugpy".utf8)
    /// Well above any structure of CPython, so that sums of two stay small.
    private static let maxOffset: UInt64 = 16 << 20

    /// The row of the same minor version, with every offset that the interpreter itself tells.
    func layout(told bytes: [UInt8], versionHex: UInt32, row: PythonLayout) throws(PythonReadError) -> PythonLayout {
        guard bytes.count >= size, bytes.prefix(8).elementsEqual(Self.cookie) else {
            throw PythonReadError(
                .notARuntime, "The address that the worker gave for Python's runtime holds something else.")
        }
        func word(_ position: Int) -> UInt64 {
            bytes.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: position, as: UInt64.self) }
        }
        guard word(version) == UInt64(versionHex) else {
            throw PythonReadError(
                .notARuntime, "Python's runtime says another version than the worker did when it started.")
        }
        guard word(freeThreaded) == 0 else {
            throw PythonReadError(
                .freeThreaded, "The worker runs a free-threaded Python; its frames cannot be read yet.")
        }
        let firstOffset = freeThreaded + 8
        guard stride(from: firstOffset, to: size, by: 8).allSatisfy({ word($0) < Self.maxOffset }),
            word(ownGILHolder) >= word(ownGIL), word(ownGILLocked) >= word(ownGIL)
        else { throw PythonReadError(.notARuntime, "Python's runtime tells offsets that cannot be right.") }

        func offset(_ position: Int) -> Int { Int(word(position)) }
        var layout = row
        layout.runtimeInterpreters = offset(runtimeInterpreters)
        layout.interpreterNext = offset(interpreterNext)
        layout.interpreterThreads = offset(interpreterThreads)
        layout.interpreterCollecting = offset(interpreterGC) + offset(gcCollecting)
        layout.interpreterGIL = offset(interpreterGIL)
        layout.gilHolder = offset(ownGILHolder) - offset(ownGIL)
        layout.gilLocked = offset(ownGILLocked) - offset(ownGIL)
        layout.threadNext = offset(threadNext)
        layout.threadInterpreter = offset(threadInterpreter)
        layout.threadID = offset(threadID)
        layout.threadNativeID = offset(threadNativeID)
        layout.threadFrame = offset(threadFrame)
        layout.framePrevious = offset(framePrevious)
        layout.frameCode = offset(frameCode)
        layout.frameInstruction = offset(frameInstruction)
        layout.frameOwner = offset(frameOwner)
        layout.codeFile = offset(codeFile)
        layout.codeName = offset(codeName)
        layout.codeQualifiedName = offset(codeQualifiedName)
        layout.codeFirstLine = offset(codeFirstLine)
        layout.codeLineTable = offset(codeLineTable)
        layout.codeInstructions = offset(codeInstructions)
        layout.objectType = offset(objectType)
        layout.objectSize = offset(bytesSize)
        layout.typeName = offset(typeName)
        layout.bytesData = offset(bytesData)
        layout.textLength = offset(textLength)
        layout.textState = offset(textState)
        layout.textASCIIData = offset(textASCIIData)
        return layout
    }
}
