// Finds the user's Python: which interpreter, and where its shared library is. Separate because it runs in the
// supervisor, which never loads Python: the interpreter is asked in a process of its own.

import Glibc

extension PythonInstallation {
    /// Finds the interpreter and asks it, once, where it lives. Blocks for the time that `python -c` takes, at most 10
    /// s.
    ///
    /// - Parameters:
    ///   - python: a path, a virtual environment's folder, or a name on PATH; nil for the active virtual environment
    ///     (`VIRTUAL_ENV`), else `python3`, then `python` on PATH.
    ///   - environment: the process environment: read here, and given to the interpreter.
    package static func locate(python: String?, environment: [String: String]) throws(WSGIError) -> PythonInstallation {
        let executable = try findExecutable(python, environment)
        let answer = try InterpreterQuery.ask(executable: executable, environment: environment)
        try checkSupported(
            executable: executable, implementation: answer.implementation, hexVersion: answer.hexVersion,
            freeThreaded: answer.isFreeThreaded)
        let candidates = libraryCandidates(answer)
        guard let library = candidates.first(where: { access($0, R_OK) == 0 }) else {
            throw libraryNotFound(answer)
        }
        return PythonInstallation(
            executable: answer.executable, prefix: answer.prefix, basePrefix: answer.basePrefix,
            version: answer.version,
            hexVersion: answer.hexVersion, library: library)
    }

    private static func findExecutable(_ python: String?, _ environment: [String: String]) throws(WSGIError) -> String {
        if let python {
            if python.contains("/") {
                let inFolder = python + (python.hasSuffix("/") ? "" : "/") + "bin/python3"
                if isExecutable(inFolder) { return inFolder }
                if isExecutable(python) { return python }
                throw WSGIError(
                    .pythonNotFound, "\(python) is neither a Python interpreter nor a virtual environment",
                    hint: "Give the path of python3, or of the folder that has bin/python3")
            }
            if let found = onPath(python, environment) { return found }
            throw WSGIError(.pythonNotFound, "there is no \(python) on PATH", hint: "Give its whole path with --python")
        }
        if let folder = environment["VIRTUAL_ENV"], !folder.isEmpty {
            let executable = folder + "/bin/python3"
            if isExecutable(executable) { return executable }
            throw WSGIError(
                .pythonNotFound, "VIRTUAL_ENV is \(folder), and there is no bin/python3 in it",
                hint: "Activate another environment, or give an interpreter with --python")
        }
        if let found = onPath("python3", environment) ?? onPath("python", environment) { return found }
        throw WSGIError(
            .pythonNotFound, "there is no python3 on PATH",
            hint: "Activate a virtual environment, or give an interpreter with --python")
    }

    private static func onPath(_ name: String, _ environment: [String: String]) -> String? {
        for folder in (environment["PATH"] ?? "").split(separator: ":") where isExecutable("\(folder)/\(name)") {
            return "\(folder)/\(name)"
        }
        return nil
    }

    private static func isExecutable(_ path: String) -> Bool {
        var status = stat()
        return stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFREG && access(path, X_OK) == 0
    }

    /// Where the shared library may be, the likeliest first. Relocated installations (conda, python-build-standalone)
    /// have a LIBDIR of the machine that built them, so the prefix counts as much. The system's folders are looked
    /// into for the system's Python only, whose prefix is /usr: a library of another build must not be taken.
    static func libraryCandidates(_ answer: InterpreterQuery.Answer) -> [String] {
        let standard = "libpython\(answer.hexVersion >> 24).\(answer.hexVersion >> 16 & 0xff).so.1.0"
        var names = [answer.instSoName, standard, answer.ldLibrary].filter { $0.contains(".so") }
        names += names.filter { !$0.hasSuffix(".1.0") && $0.hasSuffix(".so") }.map { $0 + ".1.0" }
        var folders = [answer.libDir]
        if !answer.multiarch.isEmpty { folders.append(answer.libDir + "/" + answer.multiarch) }
        folders += [
            answer.basePrefix + "/lib", answer.basePrefix + "/lib/" + answer.multiarch, answer.basePrefix + "/lib64",
            answer.libPL,
        ]
        return folders.filter { $0.hasPrefix("/") }.flatMap { folder in names.map { folder + "/" + $0 } }
    }

    private static func libraryNotFound(_ answer: InterpreterQuery.Answer) -> WSGIError {
        let minor = "\(answer.hexVersion >> 24).\(answer.hexVersion >> 16 & 0xff)"
        let hint: String
        if answer.basePrefix == "/usr" {
            hint =
                "Install it: apt-get install libpython\(minor) (Debian, Ubuntu) or dnf install python\(minor)-libs (Fedora)"
        } else {
            hint =
                "Build that Python with --enable-shared (pyenv: PYTHON_CONFIGURE_OPTS=--enable-shared pyenv install \(answer.version)),"
                + " then make the virtual environment anew"
        }
        return WSGIError(
            .libpythonNotFound,
            "\(answer.executable) (Python \(answer.version)) has no shared library libpython\(minor).so.1.0",
            hint: hint)
    }
}
