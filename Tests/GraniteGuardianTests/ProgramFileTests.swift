// Which programs are found, and which are refused before they start.

import Foundation
import GraniteGuardian
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(1)))
struct ProgramFileTests {
    let folder: TemporaryDirectory

    init() throws { folder = try TemporaryDirectory() }

    private func refusal(_ command: String, searchPath: String? = nil, user: ProgramFile.User = .init())
        -> ProgramFile.Refusal?
    {
        do throws(ProgramFile.Refusal) {
            _ = try ProgramFile(command: command, searchPath: searchPath, user: user)
            return nil
        } catch {
            return error
        }
    }

    private func file(_ name: String, _ content: [UInt8], mode: Int = 0o755) throws -> String {
        let url = folder.file(name)
        try Data(content).write(to: url)
        try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: url.path)
        return url.path
    }

    private func compiled(_ flags: [String]) async throws -> String {
        let source = try file("main.c", Array("int main(void) { return 0; }\n".utf8))
        let path = folder.file("program").path
        let result = try await Command.run(
            URL(fileURLWithPath: "/usr/bin/gcc"), [source, "-o", path] + flags, environment: ["TMPDIR": folder.url.path]
        )
        try #require(result.ending == .code(0), "\(result.errors)")
        return path
    }

    @Test func aProgramIsFoundAsExecvpFindsIt() throws {
        #expect(try ProgramFile(command: "sh", searchPath: nil).path == "/bin/sh")
        #expect(try ProgramFile(command: "sh", searchPath: "/nowhere:/bin").path == "/bin/sh")
        #expect(try ProgramFile(command: "/bin/sh", searchPath: "").path == "/bin/sh")
        _ = try file("sh", Array("#!/bin/sh\n".utf8), mode: 0o644)
        // A file that may not be executed is passed by.
        #expect(try ProgramFile(command: "sh", searchPath: "\(folder.url.path):/bin").path == "/bin/sh")
    }

    @Test func whatIsNotThereIs127() {
        #expect(refusal("no-such-program")?.exitCode == 127)
        #expect(refusal("./no-such-program")?.exitCode == 127)
        #expect(refusal("")?.exitCode == 127)
    }

    @Test func whatCannotBeExecutedIs126() throws {
        #expect(refusal("/tmp")?.exitCode == 126)
        #expect(refusal(try file("plain", [0x61], mode: 0o644))?.exitCode == 126)
    }

    @Test(arguments: [["-static"], ["-static-pie"]])
    func aStaticProgramIsRefused(flags: [String]) async throws {
        let refusal = refusal(try await compiled(flags))
        #expect(refusal?.exitCode == 126)
        #expect(refusal?.sentence.contains("is statically linked: no library can be preloaded into it") == true)
    }

    @Test func aDynamicProgramIsNot() async throws {
        #expect(refusal(try await compiled([])) == nil)
        #expect(refusal(try await compiled(["-no-pie"])) == nil)
    }

    @Test func theInterpreterOfAScriptCounts() async throws {
        let program = try await compiled(["-static"])
        #expect(refusal(try file("a", Array("#!\(program) -x\n".utf8)))?.sentence.hasPrefix(program) == true)
        #expect(refusal(try file("b", Array("#! /bin/sh\n".utf8))) == nil)
        let env = try file("c", Array("#!/usr/bin/env -S program -u\n".utf8))
        #expect(refusal(env, searchPath: folder.url.path)?.sentence.hasPrefix(program) == true)
        // No known format: execvp(3) gives it to the shell.
        #expect(refusal(try file("d", Array("echo\n".utf8))) == nil)
    }

    @Test func aScriptThatIsItsOwnInterpreterEnds() throws {
        let path = folder.file("loop").path
        _ = try file("loop", Array("#!\(path)\n".utf8))
        #expect(refusal(path) == nil)
    }

    @Test func aProgramThatGainsPrivilegesIsRefused() async throws {
        let path = try await compiled([])
        chmod(path, 0o4755)
        #expect(refusal(path) == nil)
        let other = refusal(path, user: .init(id: getuid() + 1, group: getgid()))
        #expect(other?.exitCode == 126)
        #expect(other?.sentence.contains("is set-user-id: the dynamic linker keeps preloaded libraries out") == true)
        chmod(path, 0o2755)
        #expect(refusal(path) == nil)
        #expect(refusal(path, user: .init(id: getuid(), group: getgid() + 1))?.exitCode == 126)
        // Without the right to execute it for the group, the bit means something else.
        chmod(path, 0o2745)
        #expect(refusal(path, user: .init(id: getuid(), group: getgid() + 1)) == nil)
    }

    @Test func aProgramForAnotherMachineIsRefused() async throws {
        var bytes = [UInt8](try Data(contentsOf: URL(fileURLWithPath: try await compiled([]))))
        bytes[18] = 40  // EM_ARM
        #expect(refusal(try file("arm", bytes))?.sentence.contains("another architecture") == true)
        bytes[4] = 1  // ELFCLASS32
        #expect(refusal(try file("arm32", bytes))?.exitCode == 126)
    }

    @Test func aDamagedProgramIsLeftToTheKernel() async throws {
        let bytes = [UInt8](try Data(contentsOf: URL(fileURLWithPath: try await compiled([]))))
        for length in stride(from: 0, to: 64, by: 3) {
            let path = try file("cut", Array(bytes.prefix(length)))
            #expect(refusal(path) == nil)
        }
        var wild = bytes
        wild.replaceSubrange(32..<40, with: [UInt8](repeating: 0xff, count: 8))
        #expect(refusal(try file("wild", wild)) == nil)
    }

    @Test func theDynamicLinkerItselfMayBeRun() throws {
        let loader = "/lib64/ld-linux-x86-64.so.2"
        guard FileManager.default.fileExists(atPath: loader) else { return }
        #expect(refusal(loader) == nil)
    }
}
