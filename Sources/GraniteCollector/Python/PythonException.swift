// Defines how the exception that a thread handles, or that is on its way up its stack, is read: what it is, what it says
// and where it was raised.

/// An exception of the program at the moment of capture.
package struct PythonException: Equatable, Sendable {
    /// `module.Name`; built-in ones without a module.
    package var type: String
    /// What str() of it gives for most classes: it is made of `args` alone, so that an OSError's lacks the file name, and a `__str__` of the
    /// program's own does not count. At most ``PythonExceptionReader/maxMessage`` characters.
    package var message: String?
    /// The innermost entry of its traceback.
    package var file: String?
    /// From 1.
    package var line: Int?
    /// The function that the entry stands in, without its class up to 3.10.
    package var function: String?
    /// True if an `except` or `finally` block is running for it; false if it is still on its way up the stack.
    package var isHandled: Bool
}

struct PythonExceptionReader {
    /// Characters.
    static let maxMessage = 512
    /// Entries of one traceback.
    static let maxTraceback = 1024
    /// Nested handlers that are looked through; all but the innermost running ones are empty.
    static let maxHandlers = 64

    let objects: PythonObjects
    private var offsets: PythonObjectLayout { objects.offsets }

    init(objects: PythonObjects) { self.objects = objects }

    /// The one on its way, else the one being handled; nil if there is none, or what is there is no exception.
    func read(state: UInt64) -> PythonException? {
        if let raised = objects.word(state, offsets.threadRaised), raised != 0,
            let exception = exception(raised, isHandled: false)
        {
            return exception
        }
        if objects.layout.minor < 12, let raised = notNormalized(state: state) { return raised }
        var item = objects.word(state, offsets.threadHandled)
        for _ in 0..<Self.maxHandlers {
            guard let current = item, current != 0, let value = objects.word(current, offsets.handledValue) else {
                return nil
            }
            if value != 0, let exception = exception(value, isHandled: true) { return exception }
            item = objects.word(current, offsets.handledPrevious)
        }
        return nil
    }

    /// Up to 3.11 an exception that C code raised is a type and what its instance would be made of, mostly a string, until somebody looks
    /// (PyErr_SetString, errors.c). The type stands right before the value (cpython/pystate.h, curexc_type).
    private func notNormalized(state: UInt64) -> PythonException? {
        guard let address = objects.word(state, offsets.threadRaised - 8), address != 0,
            let type = objects.type(at: address), type.isException
        else { return nil }
        let value = objects.word(state, offsets.threadRaised) ?? 0
        if value != 0 { objects.fetch([value]) }
        return PythonException(
            type: objects.qualifiedName(of: type),
            message: value == 0 ? nil : objects.text(value, limit: Self.maxMessage), isHandled: false)
    }

    private func exception(_ value: UInt64, isHandled: Bool) -> PythonException? {
        objects.fetch([value], bytes: 64)
        guard value % 8 == 0, let type = objects.type(of: value), type.isException else { return nil }
        var exception = PythonException(
            type: objects.qualifiedName(of: type), message: message(of: value, type), isHandled: isHandled)
        if let (code, entry) = innermost(of: value) {
            var reader = PythonCodeReader(layout: objects.layout, pages: objects.pages)
            if let read = reader.read([code])[code] {
                exception.file = read.file
                exception.function = read.name
                exception.line = line(of: entry, read)
            }
        }
        return exception
    }

    /// exceptions.c, BaseException_str: nothing, the only argument's str(), or the repr() of all. OSError and KeyError
    /// have a way of their own.
    private func message(of value: UInt64, _ type: PythonType) -> String? {
        guard let arguments = objects.word(value, offsets.exceptionArguments) else { return nil }
        let values = PythonValueText(objects: objects)
        values.fetch([arguments])
        guard objects.type(of: arguments)?.isTuple == true else { return nil }
        let items = objects.items(arguments, limit: 3)
        guard let first = items.first else { return nil }
        let count = objects.size(of: arguments) ?? 0
        if count == 1 {
            if type.name != "KeyError", let text = objects.text(first, limit: Self.maxMessage) { return text }
            return values.text(first)
        }
        if count == 2, objects.type(of: first)?.isExactly("int") == true,
            let text = objects.text(items[1], limit: Self.maxMessage), isOperatingSystemError(value, type)
        {
            return "[Errno \(values.text(first))] \(text)"
        }
        return values.text(arguments)
    }

    /// OSErrors keep errno and text in fields of their own behind those of every exception.
    private func isOperatingSystemError(_ value: UInt64, _ type: PythonType) -> Bool {
        !type.isHeapType && type.basicSize >= 96
            && (type.name.hasSuffix("Error") && type.name != "SyntaxError" && !type.name.hasPrefix("Unicode"))
    }

    /// The last entry of the traceback: where it was raised.
    private func innermost(of value: UInt64) -> (code: UInt64, entry: UInt64)? {
        guard var entry = objects.word(value, offsets.exceptionTraceback), entry != 0 else { return nil }
        var seen: Set<UInt64> = []
        while seen.count < Self.maxTraceback, seen.insert(entry).inserted {
            guard entry % 8 == 0, objects.type(of: entry)?.isExactly("traceback") == true,
                let next = objects.word(entry, offsets.tracebackNext)
            else { return nil }
            if next == 0 { break }
            entry = next
        }
        guard let frameObject = objects.word(entry, offsets.tracebackFrame),
            objects.type(of: frameObject)?.isExactly("frame") == true
        else { return nil }
        var frame = frameObject
        if let offset = offsets.frameObjectFrame {
            guard let inner = objects.word(frameObject, offset) else { return nil }
            frame = inner
        }
        return objects.word(frame, objects.layout.frameCode).map { ($0, entry) }
    }

    /// Up to 3.11 the line is written down; later it is made of the instruction when somebody asks.
    private func line(of entry: UInt64, _ code: PythonCode) -> Int? {
        if let line: Int32 = objects.pages.integer(at: entry &+ UInt64(offsets.tracebackLine)), line > 0 {
            return Int(line)
        }
        guard let index: Int32 = objects.pages.integer(at: entry &+ UInt64(offsets.tracebackInstruction)), index >= 0,
            Int(index) < code.instructionBytes ?? .max, let line = code.lines?.line(of: Int(index)), line >= 0
        else { return nil }
        return line
    }
}
