// Defines `wsgi.file_wrapper`: an iterable over a file in blocks, which the server recognizes and sends by descriptor
// instead, when the object is really a file on disk and what it would read is what the descriptor holds.

import CPython
import Glibc

/// The class `granite.FileWrapper`.
enum FileWrapper {
    /// A part of a regular file.
    struct Range {
        var descriptor: Int32
        var offset: Int
        var length: Int
    }

    static let defaultBlockSize = 8192

    static func makeType() -> Object? {
        let methods = HeapType.table([HeapType.method("close", noArguments: close)])
        return HeapType.make(
            "granite.FileWrapper", size: MemoryLayout<granite_file_wrapper>.size, flags: GRANITE_TPFLAGS_HAVE_GC,
            slots: [
                (GRANITE_TP_NEW, unsafeBitCast(new, to: UnsafeMutableRawPointer.self)),
                (GRANITE_TP_DEALLOC, unsafeBitCast(deallocate, to: UnsafeMutableRawPointer.self)),
                (GRANITE_TP_TRAVERSE, unsafeBitCast(traverse, to: UnsafeMutableRawPointer.self)),
                (GRANITE_TP_CLEAR, unsafeBitCast(clear, to: UnsafeMutableRawPointer.self)),
                (GRANITE_TP_ITER, unsafeBitCast(iterator, to: UnsafeMutableRawPointer.self)),
                (GRANITE_TP_ITERNEXT, unsafeBitCast(next, to: UnsafeMutableRawPointer.self)),
                (GRANITE_TP_METHODS, UnsafeMutableRawPointer(methods)),
            ])
    }

    private static func fields(_ object: Object) -> UnsafeMutablePointer<granite_file_wrapper> {
        UnsafeMutableRawPointer(object).assumingMemoryBound(to: granite_file_wrapper.self)
    }

    /// What sendfile(2) may send in place of reading the wrapped file to its end; nil if only reading tells. Leaves no
    /// Python error.
    ///
    /// Only io.FileIO, and io.BufferedReader right over one, are taken: gzip.GzipFile and others have a fileno() too,
    /// whose bytes are not what read() returns.
    static func range(_ wrapper: Object) -> Range? {
        guard let file = fields(wrapper).pointee.file, let io = PyImport_ImportModule("io") else {
            PyErr_Clear()
            return nil
        }
        defer { io.release() }
        guard isPlainFile(file, io) else { return nil }
        guard let descriptor = callForNumber(file, "fileno"), let offset = callForNumber(file, "tell"), offset >= 0,
            let handle = Int32(exactly: descriptor)
        else { return nil }
        var status = stat()
        guard fstat(handle, &status) == 0, status.st_mode & S_IFMT == S_IFREG, status.st_size >= offset else {
            return nil
        }
        return Range(descriptor: handle, offset: offset, length: status.st_size - offset)
    }

    private static func isPlainFile(_ file: Object, _ io: Object) -> Bool {
        guard let raw = io.attribute("FileIO"), let buffered = io.attribute("BufferedReader") else { return false }
        defer { raw.release(); buffered.release() }
        if file.isExactly(raw) { return true }
        guard file.isExactly(buffered), let inner = file.attribute("raw") else { return false }
        defer { inner.release() }
        return inner.isExactly(raw)
    }

    private static func callForNumber(_ object: Object, _ method: String) -> Int? {
        guard let function = object.attribute(method) else { return nil }
        defer { function.release() }
        guard let result = pythonCall(function) else {
            PyErr_Clear()
            return nil
        }
        defer { result.release() }
        let number = PyLong_AsLong(result)
        guard PyErr_Occurred() == nil else {
            PyErr_Clear()
            return nil
        }
        return number
    }

    // MARK: Slots

    private static let new: @convention(c) (Object?, Object?, Object?) -> Object? = { type, arguments, keywords in
        guard let type, let arguments else { return nil }
        let count = PyTuple_Size(arguments)
        // `wrapper(file, **{})` may come as an empty dict.
        guard keywords.map({ PyDict_Size($0) == 0 }) ?? true, count == 1 || count == 2,
            let file = PyTuple_GetItem(arguments, 0)
        else {
            PyErr_SetString(granite_python_TypeError(), "wsgi.file_wrapper takes a file and, optionally, a block size")
            return nil
        }
        var blockSize = defaultBlockSize
        if count == 2, let size = PyTuple_GetItem(arguments, 1) {
            blockSize = PyNumber_AsSsize_t(size, nil)
            if blockSize == -1 && PyErr_Occurred() != nil { return nil }
            if blockSize <= 0 { blockSize = defaultBlockSize }
        }
        guard let object = PyType_GenericAlloc(OpaquePointer(type), 0) else { return nil }
        fields(object).pointee.file = file.retained()
        fields(object).pointee.block_size = blockSize
        return object
    }

    private static let deallocate: @convention(c) (Object?) -> Void = { object in
        guard let object else { return }
        let type = Object(object.pointee.ob_type)
        PyObject_GC_UnTrack(object)
        _ = clear(object)
        PyObject_GC_Del(object)
        type.release()
    }

    private static let traverse: @convention(c) (Object?, granite_python_visit?, UnsafeMutableRawPointer?) -> Int32 = {
        object, visit, argument in
        guard let object, let visit else { return 0 }
        if let file = fields(object).pointee.file {
            let result = visit(file, argument)
            if result != 0 { return result }
        }
        // Since 3.9 objects of heap types visit their class (bpo-40217).
        return visit(Object(object.pointee.ob_type), argument)
    }

    private static let clear: @convention(c) (Object?) -> Int32 = { object in
        guard let object else { return 0 }
        let file = fields(object).pointee.file
        fields(object).pointee.file = nil
        file?.release()
        return 0
    }

    private static let iterator: @convention(c) (Object?) -> Object? = { $0?.retained() }

    private static let next: @convention(c) (Object?) -> Object? = { object in
        guard let object, let file = fields(object).pointee.file, let read = PyObject_GetAttrString(file, "read") else {
            return nil
        }
        defer { read.release() }
        guard let size = PyLong_FromLong(fields(object).pointee.block_size) else { return nil }
        defer { size.release() }
        guard let block = pythonCall(read, size) else { return nil }
        let truth = PyObject_IsTrue(block)
        guard truth > 0 else {
            block.release()
            return nil
        }
        return block
    }

    private static let close: UnaryFunction = { object, _ in
        guard let object, let file = fields(object).pointee.file else { return granite_python_None().retained() }
        guard let method = file.attribute("close") else { return granite_python_None().retained() }
        defer { method.release() }
        return pythonCall(method)
    }
}
