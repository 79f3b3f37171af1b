// Runs the request reader over bytes cut into pieces, and writes down what it says, for comparing.

import Foundation
import GraniteExchange

@testable import GraniteHTTP

/// What a reader makes of a stream: requests, then how it ended.
struct ParsedRequest: Equatable, CustomStringConvertible {
    var method: String
    var target: String
    var version: Int
    var headers: [String]
    var body: [UInt8]

    var description: String { "\(method) \(target) 1.\(version) \(headers) body \(body.count)" }
}

enum StreamEnd: Equatable {
    case waiting
    case rejected(Int)
}

struct ParsedStream: Equatable {
    var requests: [ParsedRequest] = []
    var end = StreamEnd.waiting

    /// Feeds `pieces` one after the other.
    init(_ pieces: [ArraySlice<UInt8>], limits: RequestLimits = RequestLimits()) {
        var reader = RequestReader(limits: limits)
        var input = InputBuffer()
        var spilled: [UInt8] = []
        for piece in pieces {
            piece.withUnsafeBytes { input.append($0) }
            loop: while true {
                switch reader.advance(&input) {
                case .needsHead, .needsBody: break loop
                case .spill:
                    spilled += reader.spillBytes(of: input)
                    reader.didSpill(&input)
                case .complete:
                    requests.append(Self.take(&reader, &input, spilled: spilled))
                    spilled = []
                    reader.next(&input)
                case .rejected(let rejection):
                    end = .rejected(rejection.status)
                    return
                }
            }
        }
    }

    init(_ text: String, limits: RequestLimits = RequestLimits()) {
        self.init([ArraySlice(latin1(text))], limits: limits)
    }

    private static func take(_ reader: inout RequestReader, _ input: inout InputBuffer, spilled: [UInt8])
        -> ParsedRequest
    {
        let base = UnsafePointer(input.base)
        func text(_ range: ByteRange) -> String { String(decoding: range.bytes(in: base), as: Unicode.ASCII.self) }
        var headers: [String] = []
        for i in 0..<reader.head.fieldCount {
            let field = reader.fields[i]
            let name = UnsafeRawBufferPointer(start: base + Int(field.nameOffset), count: Int(field.nameLength))
            let value = UnsafeRawBufferPointer(start: base + Int(field.valueOffset), count: Int(field.valueLength))
            headers.append("\(latin1(name)): \(latin1(value))")
        }
        var body = spilled
        switch reader.body(input, descriptor: -1) {
        case .none, .file: body += reader.spillBytes(of: input)
        case .memory(let bytes): body += bytes
        }
        return ParsedRequest(
            method: text(reader.head.method), target: latin1(reader.head.target.bytes(in: base)),
            version: Int(reader.head.minorVersion),
            headers: headers, body: body)
    }
}

func latin1(_ text: String) -> [UInt8] { text.unicodeScalars.map { UInt8($0.value) } }
func latin1(_ bytes: UnsafeRawBufferPointer) -> String {
    String(String.UnicodeScalarView(bytes.map { Unicode.Scalar($0) }))
}
