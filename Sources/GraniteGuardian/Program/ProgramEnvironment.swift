// Makes the environment that brings the capture into a program and what it starts. Pure but for reading the present one.

import CLinux
import Glibc
import GraniteLinux

/// NAME=value strings as bytes: they need not be text.
package struct ProgramEnvironment: Sendable, Equatable {
    package private(set) var entries: [[UInt8]]

    package init(entries: [[UInt8]]) { self.entries = entries }

    /// This process's own. Before any thread may change it.
    package static func current() -> ProgramEnvironment {
        var entries: [[UInt8]] = []
        var entry = granite_environment()
        while let text = entry.pointee {
            entries.append(UnsafeBufferPointer(start: text, count: strlen(text)).map { UInt8(bitPattern: $0) })
            entry += 1
        }
        return ProgramEnvironment(entries: entries)
    }

    package subscript(_ name: String) -> [UInt8]? {
        entries.first { $0.starts(with: "\(name)=".utf8) }.map { Array($0.dropFirst(name.utf8.count + 1)) }
    }

    /// Sets `name` in place, or appends it; nil removes it.
    package mutating func set(_ name: String, _ value: [UInt8]?) {
        let entry = value.map { Array("\(name)=".utf8) + $0 }
        guard let index = entries.firstIndex(where: { $0.starts(with: "\(name)=".utf8) }) else {
            if let entry { entries.append(entry) }
            return
        }
        if let entry { entries[index] = entry } else { entries.remove(at: index) }
    }

    /// The names that the library and the dynamic linker go by.
    package static let socketVariable = "GRANITE_RUN_SOCKET"
    package static let levelVariable = "GRANITE_BACKTRACE"
    package static let preloadVariable = "LD_PRELOAD"

    /// For a program under capture.
    ///
    /// - Parameters:
    ///   - level: GRANITE_BACKTRACE; nil: what is there, else full.
    package func capturing(library: String, socket: String, level: String?) -> ProgramEnvironment {
        var result = self
        let separators = " :".utf8
        // Of a run within a run the library is there already.
        let others = (self[Self.preloadVariable] ?? []).split(whereSeparator: separators.contains).filter {
            !$0.elementsEqual(library.utf8)
        }
        result.set(Self.preloadVariable, Array(([Array(library.utf8)[...]] + others).joined(separator: ":".utf8)))
        result.set(Self.socketVariable, Array(socket.utf8))
        if let level {
            result.set(Self.levelVariable, Array(level.utf8))
        } else if result[Self.levelVariable] == nil {
            result.set(Self.levelVariable, Array("full".utf8))
        }
        return result
    }

    /// For the guardian: it is no process under capture.
    package func withoutCapture() -> ProgramEnvironment {
        var result = self
        result.set(Self.preloadVariable, nil)
        result.set(Self.socketVariable, nil)
        return result
    }

    /// Calls `body` with the NULL-terminated array that execve(2) takes, valid during the call.
    func withPointers<Result>(_ body: ([UnsafeMutablePointer<CChar>?]) -> Result) -> Result {
        withCStrings(entries, body)
    }
}
