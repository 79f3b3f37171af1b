// Defines what a report says of the Python interpreter as a whole, and of an exception in it.

/// The interpreter at the moment of capture. Only what could be read is set.
package struct PythonInfo: Codable, Sendable, Equatable {
    /// Interpreters in the process, if there are several.
    package var interpreters: Int?
    /// Threads that Python knows.
    package var threads: Int?
    /// Whether the main interpreter's GIL was held.
    package var gilHeld: Bool?
    /// The thread that held it.
    package var gilHolder: Int?
    /// Threads that waited for a GIL.
    package var gilWaiters: [Int]?
    /// True while the cyclic garbage collector ran.
    package var collecting: Bool?
    /// 0 to 2, the oldest generation that it collected.
    package var collectedGeneration: Int?

    package init() {}

    enum CodingKeys: String, CodingKey {
        case interpreters, threads
        case gilHeld = "gil_held"
        case gilHolder = "gil_holder"
        case gilWaiters = "gil_waiters"
        case collecting
        case collectedGeneration = "collected_generation"
    }

    package init(from decoder: any Decoder) throws {
        let fields = try decoder.container(keyedBy: CodingKeys.self)
        interpreters = fields.lenient(.interpreters)
        threads = fields.lenient(.threads)
        gilHeld = fields.lenient(.gilHeld)
        gilHolder = fields.lenient(.gilHolder)
        gilWaiters = fields.lenientArray(.gilWaiters)
        collecting = fields.lenient(.collecting)
        collectedGeneration = fields.lenient(.collectedGeneration)
    }
}

/// A Python exception.
package struct ExceptionInfo: Codable, Sendable, Equatable {
    /// `module.Name`; built-in ones without a module.
    package var type: String?
    /// Bounded; secrets in it are redacted as in all text.
    package var message: String?
    /// Where it was raised: the innermost entry of its traceback.
    package var file: String?
    package var line: Int?
    package var function: String?
    /// `handled`: an `except` or `finally` block was running for it; `raised`: it was on its way up the stack.
    package var state: String?

    package init() {}

    enum CodingKeys: String, CodingKey { case type, message, file, line, function, state }

    package init(from decoder: any Decoder) throws {
        let fields = try decoder.container(keyedBy: CodingKeys.self)
        type = fields.lenient(.type)
        message = fields.lenient(.message)
        file = fields.lenient(.file)
        line = fields.lenient(.line)
        function = fields.lenient(.function)
        state = fields.lenient(.state)
    }
}
