// Finds a program as execvp(3) would, and tells before it is started whether the preloaded library can get into it.

import CLinux
import Glibc

/// A program that can be run under capture.
package struct ProgramFile: Sendable, Equatable {
    /// What execve(2) is given.
    package let path: String

    /// Why a command is not run, and the code that a shell would give for it.
    package struct Refusal: Error, Equatable {
        package var sentence: String
        package var exitCode: Int32

        package init(sentence: String, exitCode: Int32) {
            self.sentence = sentence
            self.exitCode = exitCode
        }
    }

    /// Who would run it: tells whether a file that changes user gains anything (AT_SECURE of getauxval(3)).
    package struct User: Sendable {
        package var id: UInt32 = getuid()
        package var group: UInt32 = getgid()

        package init() {}

        package init(id: UInt32, group: UInt32) {
            self.id = id
            self.group = group
        }
    }

    /// Looks for `command` in `searchPath` unless it holds a slash.
    package init(command: String, searchPath: String?, user: User = User()) throws(Refusal) {
        path = try Self.find(command, searchPath)
        try Self.check(path, searchPath, user, depth: 0)
    }

    // MARK: - Finding

    private static func find(_ command: String, _ searchPath: String?) throws(Refusal) -> String {
        let candidates: [String]
        if command.contains("/") {
            candidates = [command]
        } else if command.isEmpty {
            candidates = []
        } else {
            // The default of execvp(3). An empty part is the working directory.
            candidates = (searchPath ?? "/bin:/usr/bin").split(separator: ":", omittingEmptySubsequences: false).map {
                $0.isEmpty ? "./\(command)" : "\($0)/\(command)"
            }
        }
        var denied: (path: String, errno: Int32)?
        for candidate in candidates {
            var status = stat()
            guard stat(candidate, &status) == 0 else {
                if errno == EACCES { denied = denied ?? (candidate, EACCES) }
                continue
            }
            if status.st_mode & S_IFMT == S_IFDIR {
                denied = denied ?? (candidate, EISDIR)
            } else if access(candidate, X_OK) != 0 {
                denied = denied ?? (candidate, errno)
            } else {
                return candidate
            }
        }
        if let denied {
            throw Refusal(sentence: "\(denied.path) cannot be run: \(reason(denied.errno)).", exitCode: 126)
        }
        throw Refusal(
            sentence: command.contains("/") ? "\(command) is not there." : "\(command) is not in PATH.", exitCode: 127)
    }

    private static func reason(_ number: Int32) -> String { String(cString: strerror(number)) }

    // MARK: - Checking

    /// An interpreter may be a script itself; the kernel follows four.
    private static let maxDepth = 4

    private static func check(_ path: String, _ searchPath: String?, _ user: User, depth: Int) throws(Refusal) {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        // What may be executed but not read is a matter of execve(2) alone.
        guard descriptor >= 0 else { return }
        defer { close(descriptor) }
        var head = [UInt8](repeating: 0, count: 256)
        let count = pread(descriptor, &head, head.count, 0)
        guard count > 2 else { return }
        if head.starts(with: "#!".utf8) {
            // Set-user-id bits of a script count for nothing (execve(2)).
            let line = String(decoding: head[2..<count].prefix { $0 != UInt8(ascii: "\n") }, as: UTF8.self)
            guard depth < maxDepth, let next = interpreter(of: line, searchPath) else { return }
            return try check(next, searchPath, user, depth: depth + 1)
        }
        guard head.starts(with: [0x7f] + "ELF".utf8) else { return }  // no known format: /bin/sh runs it
        try refusePrivileged(path, descriptor, user)
        try refuseForeign(path, ELFProgram(descriptor: descriptor, head: Array(head[..<count])))
    }

    /// The program that a `#!` line names in the end: of `env` the one that it looks for.
    private static func interpreter(of line: String, _ searchPath: String?) -> String? {
        let words = line.split(whereSeparator: { $0 == " " || $0 == "\t" }).map { String($0) }
        guard let first = words.first else { return nil }
        guard first.split(separator: "/").last == "env" else { return first }
        guard let name = words.dropFirst().first(where: { !$0.hasPrefix("-") && !$0.contains("=") }) else {
            return first
        }
        return try? find(name, searchPath)
    }

    /// The dynamic linker drops LD_PRELOAD where a program gains privileges (ld.so(8), secure-execution mode).
    private static func refusePrivileged(_ path: String, _ descriptor: Int32, _ user: User) throws(Refusal) {
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { return }
        let isGroup = status.st_mode & S_ISGID != 0 && status.st_mode & S_IXGRP != 0
        var what: String?
        if status.st_mode & S_ISUID != 0, status.st_uid != user.id {
            what = "is set-user-id"
        } else if isGroup, status.st_gid != user.group {
            what = "is set-group-id"
        } else if user.id != 0, granite_has_capabilities(descriptor) == 1 {
            what = "has file capabilities"
        }
        guard let what else { return }
        throw Refusal(
            sentence:
                "\(path) \(what): the dynamic linker keeps preloaded libraries out of it. Run it without granite-crash, or run what it starts.",
            exitCode: 126)
    }

    private static func refuseForeign(_ path: String, _ program: ELFProgram?) throws(Refusal) {
        guard let program else { return }  // execve(2) will say what is wrong with it
        let sentence: String
        if !program.isOfThisMachine {
            sentence = "\(path) is a program for another architecture than granite-crash: its capture does not fit."
        } else if program.interpreter == nil, !isDynamicLinker(path) {
            sentence =
                "\(path) is statically linked: no library can be preloaded into it. Link it dynamically to capture its crashes."
        } else if let interpreter = program.interpreter, interpreter.contains("/ld-musl") {
            sentence =
                "\(path) is linked with musl (\(interpreter)): the capture is built for glibc, and cannot be loaded there."
        } else {
            return
        }
        throw Refusal(sentence: sentence, exitCode: 126)
    }

    /// It can be run as a program, and preloads into what it is given.
    private static func isDynamicLinker(_ path: String) -> Bool {
        guard let real = realpath(path, nil) else { return false }
        defer { free(real) }
        let name = String(cString: real).split(separator: "/").last ?? ""
        return name.hasPrefix("ld-linux") || name.hasPrefix("ld-2.") || name == "ld.so"
    }
}
