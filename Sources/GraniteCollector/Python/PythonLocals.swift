// Defines how the local variables of frames are read: names from the code objects, values from the frames, secrets left
// out by their names.

import GraniteReport

/// A local variable, as text.
package struct PythonLocal: Equatable, Sendable {
    /// As the source has it.
    package var name: String
    /// Like repr(), bounded; `[redacted]` if the name is that of a secret.
    package var value: String
}

struct PythonLocalsReader {
    /// Innermost frames of a thread that are looked at.
    static let maxFrames = 32
    /// Variables of one frame.
    static let maxVariables = 48

    let objects: PythonObjects
    private var offsets: PythonObjectLayout { objects.offsets }

    // pycore_code.h of 3.11 to 3.13
    private static let isLocal: UInt8 = 0x20
    private static let isCell: UInt8 = 0x40
    private static let isFree: UInt8 = 0x80

    struct Frame: Equatable {
        var address: UInt64
        var code: UInt64
    }

    private struct Variable {
        var frame: Int
        var name: UInt64
        var value: UInt64
        var mayBeCell: Bool
    }

    /// In the order of `frames`. The frames must be ones that were walked, with code objects that were recognized.
    func read(_ frames: [Frame]) -> [[PythonLocal]] {
        let frames = frames.prefix(Self.maxFrames)
        var variables = self.variables(Array(frames))
        // A cell holds the variable of a function within a function.
        objects.fetch(variables.filter(\.mayBeCell).map(\.value), bytes: offsets.cellValue + 8)
        for index in variables.indices where variables[index].mayBeCell {
            guard objects.type(of: variables[index].value)?.isExactly("cell") == true else { continue }
            variables[index].value = objects.word(variables[index].value, offsets.cellValue) ?? 0
        }
        variables.removeAll { $0.value == 0 }
        objects.fetch(variables.map(\.name))
        objects.pages.fetch(
            variables.compactMap { objects.textRange($0.name, limit: 128) }.map {
                MemoryRange(address: $0.data, length: $0.count * $0.width)
            })
        let named = variables.compactMap { variable in
            objects.text(variable.name, limit: 128).map { (variable: variable, name: $0) }
        }
        let values = PythonValueText(objects: objects)
        // Not even into our own memory.
        values.fetch(named.filter { !Redaction.isSecretName($0.name) }.map(\.variable.value))
        var result: [[PythonLocal]] = Array(repeating: [], count: frames.count)
        for (variable, name) in named {
            let value = Redaction.isSecretName(name) ? Redaction.mark : Redaction.text(values.text(variable.value))
            result[variable.frame].append(PythonLocal(name: name, value: value))
        }
        return result
    }

    private func variables(_ frames: [Frame]) -> [Variable] {
        let last = max(
            offsets.codeLocalNames, offsets.codeLocalKinds ?? 0, offsets.codeCellNames ?? 0, offsets.codeFreeNames ?? 0)
        objects.pages.fetch(frames.map { MemoryRange(address: $0.code, length: last + 8) })
        let tuples = frames.map { frame in
            [offsets.codeLocalNames, offsets.codeCellNames, offsets.codeFreeNames].compactMap { $0 }.map {
                objects.word(frame.code, $0) ?? 0
            }
        }
        let kinds = frames.map { frame in offsets.codeLocalKinds.flatMap { objects.word(frame.code, $0) } }
        objects.fetch(tuples.joined() + kinds.compactMap { $0 })
        objects.pages.fetch(
            tuples.joined().compactMap { objects.itemRange($0, limit: Self.maxVariables) }
                + frames.map {
                    MemoryRange(address: $0.address &+ UInt64(offsets.frameLocals), length: Self.maxVariables * 8)
                })
        var variables: [Variable] = []
        for (index, frame) in frames.enumerated() {
            var position = 0
            for (tuple, names) in tuples[index].enumerated() {
                for name in objects.items(names, limit: Self.maxVariables) where position < Self.maxVariables {
                    defer { position += 1 }
                    var mayBeCell = tuple > 0
                    if let object = kinds[index] {
                        let place = object &+ UInt64(objects.layout.bytesData + position)
                        guard let kind: UInt8 = objects.pages.integer(at: place),
                            kind & (Self.isLocal | Self.isCell | Self.isFree) != 0
                        else { continue }
                        mayBeCell = kind & (Self.isCell | Self.isFree) != 0
                    }
                    guard let value = objects.word(frame.address, offsets.frameLocals + position * 8), value != 0 else {
                        continue
                    }
                    variables.append(Variable(frame: index, name: name, value: value, mayBeCell: mayBeCell))
                }
            }
        }
        return variables
    }
}
