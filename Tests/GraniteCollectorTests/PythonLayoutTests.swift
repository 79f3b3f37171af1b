import Foundation
import TestSupport
import Testing

@testable import GraniteCollector

@Suite(.timeLimit(.minutes(5)))
struct PythonLayoutTests {
    private static let sources = BuildProducts.checkout.appendingPathComponent("Sources/GraniteCollector/Python")

    /// Of each installed Python whose headers are installed, too.
    @Test(.enabled(if: !PythonInstallation.all.isEmpty), arguments: PythonInstallation.all)
    func rowIsWhatTheHeadersSay(_ python: PythonInstallation) async throws {
        let asked = try await Command.run(
            python.executable,
            ["-c", "import sysconfig; print(sysconfig.get_path('include') + '/internal/pycore_runtime.h')"])
        let header = asked.output.trimmingCharacters(in: .whitespacesAndNewlines)
        guard FileManager.default.fileExists(atPath: header) else { return }  // Debian without python3-dev
        let generated = try await Command.run(
            Self.sources.appendingPathComponent("generate-layouts/generate.sh"), ["--rows", python.executable.path])
        #expect(generated.ending == .code(0), "\(generated.errors)")
        #expect(generated.output.contains("static let python3\(python.minor) = PythonLayout("))
        let table = try String(
            contentsOf: Self.sources.appendingPathComponent("PythonLayout+table.swift"), encoding: .utf8)
        #expect(table.contains(generated.output), "generated:\n\(generated.output)")
    }

    @Test func eachVersionHasItsRow() {
        #expect(PythonLayout.known(versionHex: 0x0309_00F0) == .python39)
        #expect(PythonLayout.known(versionHex: 0x030A_0DF0) == .python310)
        #expect(PythonLayout.known(versionHex: 0x030B_02F0) == .python311)
        #expect(PythonLayout.known(versionHex: 0x030C_00C1) == .python312)
        #expect(PythonLayout.known(versionHex: 0x030D_09F0) == .python313)
        #expect(PythonLayout.known(versionHex: 0x030D_00A6) == nil, "an alpha's layout is not its release's")
        #expect(PythonLayout.known(versionHex: 0x030E_00F0) == nil)
    }

    @Test func debugOffsetsOverruleTheRow() throws {
        var bytes = Self.debugOffsets(version: 0x030D_02F0)
        Self.put(808, at: PythonLayout.debugOffsets313.threadFrame, in: &bytes)
        let told = try PythonLayout.debugOffsets313.layout(told: bytes, versionHex: 0x030D_02F0, row: .python313)
        #expect(told.threadFrame == 808)
        #expect(told.gilLocked == PythonLayout.python313.gilLocked)
    }

    @Test func aFreeThreadedBuildIsRefused() {
        var bytes = Self.debugOffsets(version: 0x030D_02F0)
        Self.put(1, at: PythonLayout.debugOffsets313.freeThreaded, in: &bytes)
        expect(.freeThreaded, bytes, 0x030D_02F0)
    }

    @Test func offsetsThatCannotBeRightAreRefused() {
        let offsets = PythonLayout.debugOffsets313
        for position in stride(from: offsets.freeThreaded + 8, to: offsets.size, by: 8) {
            for value: UInt64 in [1 << 32, .max, 1 << 63] {
                var bytes = Self.debugOffsets(version: 0x030D_02F0)
                Self.put(value, at: position, in: &bytes)
                expect(.notARuntime, bytes, 0x030D_02F0)
            }
        }
        expect(.notARuntime, Self.debugOffsets(version: 0x030D_01F0), 0x030D_02F0)
        expect(.notARuntime, [UInt8](repeating: 0, count: offsets.size), 0x030D_02F0)
        for count in 0..<offsets.size {
            expect(.notARuntime, Array(Self.debugOffsets(version: 0x030D_02F0).prefix(count)), 0x030D_02F0)
        }
    }

    private func expect(_ code: PythonReadError.Code, _ bytes: [UInt8], _ versionHex: UInt32) {
        let error = #expect(throws: PythonReadError.self) {
            try PythonLayout.debugOffsets313.layout(told: bytes, versionHex: versionHex, row: .python313)
        }
        #expect(error?.code == code)
    }

    /// `_Py_DebugOffsets` with the GIL's fields as 3.13.0 has them, the rest zero.
    private static func debugOffsets(version: UInt64) -> [UInt8] {
        let offsets = PythonLayout.debugOffsets313
        var bytes = PythonDebugOffsets.cookie + [UInt8](repeating: 0, count: offsets.size - 8)
        put(version, at: offsets.version, in: &bytes)
        put(4096, at: offsets.ownGIL, in: &bytes)
        put(4096 + 8, at: offsets.ownGILHolder, in: &bytes)
        put(4096 + 16, at: offsets.ownGILLocked, in: &bytes)
        return bytes
    }

    private static func put(_ value: UInt64, at position: Int, in bytes: inout [UInt8]) {
        withUnsafeBytes(of: value.littleEndian) {
            for (index, byte) in $0.enumerated() { bytes[position + index] = byte }
        }
    }
}
