// Asks an interpreter where it lives, by running it once. Separate because it is the one place where this module starts
// a process.

import Glibc

/// One run of `python -c`, bounded in time.
enum InterpreterQuery {
    /// What the interpreter says of itself.
    struct Answer: Equatable {
        var executable = ""
        var prefix = ""
        var basePrefix = ""
        var implementation = ""
        var version = ""
        var hexVersion: UInt32 = 0
        var libDir = ""
        var ldLibrary = ""
        var instSoName = ""
        var libPL = ""
        var multiarch = ""
        var isFreeThreaded = false
    }

    static let timeoutSeconds = 10

    // Between NULs, since paths are bytes; behind a mark, since a sitecustomize may print. Also runs on Python 2, to be
    // able to say so.
    private static let mark = "granite-python"
    private static let script = """
        import os, sys
        try:
            import sysconfig
            v = sysconfig.get_config_var
        except Exception:
            v = lambda name: None
        e = getattr(os, 'fsencode', str)
        i = getattr(sys, 'implementation', None)
        f = [sys.executable or '', sys.prefix, getattr(sys, 'base_prefix', sys.prefix), i.name if i else 'cpython',
             '%d.%d.%d' % tuple(sys.version_info[:3]), '%d' % sys.hexversion] + [
             str(v(n) or '') for n in ('LIBDIR', 'LDLIBRARY', 'INSTSONAME', 'LIBPL', 'MULTIARCH', 'Py_GIL_DISABLED')]
        os.write(1, b'\\0' + b'\\0'.join([b'granite-python'] + [e(s) for s in f]) + b'\\0')
        """

    /// Runs the interpreter and reads its answer.
    static func ask(executable: String, environment: [String: String]) throws(WSGIError) -> Answer {
        let output = try run(executable, ["-c", script], environment)
        guard let answer = parse(output) else {
            throw WSGIError(
                .pythonFailed, "\(executable) did not say where it lives",
                hint: "Run it by hand: \(executable) -m sysconfig")
        }
        return answer
    }

    static func parse(_ output: [UInt8]) -> Answer? {
        let fields = output.split(separator: 0, omittingEmptySubsequences: false).map {
            String(decoding: $0, as: UTF8.self)
        }
        guard let start = fields.firstIndex(of: mark), fields.count >= start + 14 else { return nil }
        let values = Array(fields[(start + 1)...])
        guard let hexVersion = UInt32(values[5]), values[0].hasPrefix("/") else { return nil }
        return Answer(
            executable: values[0], prefix: values[1], basePrefix: values[2], implementation: values[3],
            version: values[4],
            hexVersion: hexVersion, libDir: values[6], ldLibrary: values[7], instSoName: values[8], libPL: values[9],
            multiarch: values[10], isFreeThreaded: values[11] == "1")
    }

    private static func run(_ executable: String, _ arguments: [String], _ environment: [String: String])
        throws(WSGIError) -> [UInt8]
    {
        func failure(_ code: Int32, _ call: String) -> WSGIError {
            WSGIError(
                .pythonFailed, "cannot run \(executable): \(call): \(String(cString: strerror(code)))", errno: code)
        }
        var ends: [Int32] = [-1, -1]
        guard pipe(&ends) == 0 else { throw failure(errno, "pipe") }
        defer { close(ends[0]) }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        // Standard error stays ours: Python explains itself there.
        posix_spawn_file_actions_adddup2(&actions, ends[1], 1)
        var argv: [UnsafeMutablePointer<CChar>?] = ([executable] + arguments).map { strdup($0) } + [nil]
        var envp: [UnsafeMutablePointer<CChar>?] = environment.map { strdup("\($0.key)=\($0.value)") } + [nil]
        defer { for string in argv + envp { free(string) } }
        var pid: pid_t = 0
        let spawned = posix_spawn(&pid, executable, &actions, nil, &argv, &envp)
        close(ends[1])
        guard spawned == 0 else { throw failure(spawned, "posix_spawn") }
        let output = readAnswer(ends[0], seconds: timeoutSeconds)
        // Nothing that it may still do matters: it has answered, or closed its output, or had its time.
        kill(pid, SIGKILL)
        var status: Int32 = 0
        while waitpid(pid, &status, 0) == -1 && errno == EINTR {}
        guard let output else {
            throw WSGIError(
                .pythonFailed, "\(executable) did not answer within \(timeoutSeconds) s",
                hint: "Look for a sitecustomize that waits")
        }
        let code = status >> 8 & 0xff
        guard code == 0 || !output.isEmpty else {
            throw WSGIError(
                .pythonFailed,
                "\(executable) ended with status \(code) before it could say where it lives",
                hint: "Run it by hand: \(executable) -c 'import sysconfig'")
        }
        return output
    }

    /// Everything up to a whole answer or the end of file; nil when the time is over. At most 64 KiB count.
    private static func readAnswer(_ descriptor: Int32, seconds: Int) -> [UInt8]? {
        var output: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 4096)
        var start = timespec()
        clock_gettime(CLOCK_MONOTONIC, &start)
        while true {
            var now = timespec()
            clock_gettime(CLOCK_MONOTONIC, &now)
            let elapsed = (now.tv_sec - start.tv_sec) * 1000 + (now.tv_nsec - start.tv_nsec) / 1_000_000
            guard elapsed < seconds * 1000 else { return nil }
            var entry = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            guard poll(&entry, 1, Int32(seconds * 1000 - elapsed)) > 0 else { continue }
            let count = read(descriptor, &buffer, buffer.count)
            if count > 0, output.count < 65536 { output += buffer[..<count] }
            if count == 0 || (count < 0 && errno != EINTR) || parse(output) != nil { return output }
        }
    }
}
