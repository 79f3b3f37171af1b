// `granite worker`: what the supervisor starts. Not for people.

import ArgumentParser
import CLinux
import FoundationEssentials
import Glibc
import GraniteCapture
import GraniteSupervisor

struct WorkerCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "worker", abstract: "Serves requests for `granite serve`, which starts it.", shouldDisplay: false)

    func run() throws {
        // Ctrl-C reaches the whole process group, but it is the supervisor's to obey, during the import too. Handled and noted nowhere
        // rather than ignored: programs that the application starts get the default back (execve(2)).
        _ = granite_signal_note(SIGINT, 0)
        // From here on, whatever happens is told.
        let captureError = Self.installCapture()
        let listenerCount = getenv(WorkerDescriptor.listenerCountVariable).flatMap { Int32(String(cString: $0)) } ?? 0
        unsetenv(WorkerDescriptor.listenerCountVariable)
        let listeners = (0..<max(0, min(listenerCount, 64))).map { WorkerDescriptor.firstListener + $0 }
        // What the application starts must not inherit them.
        for descriptor in [
            WorkerDescriptor.configuration, WorkerDescriptor.crashPage, WorkerDescriptor.memorySocket,
            WorkerDescriptor.status, WorkerDescriptor.log,
        ] + listeners {
            _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
        }
        guard let configuration = Self.readConfiguration(), !listeners.isEmpty else {
            throw ValidationError("`granite worker` is started by `granite serve`; type that instead.")
        }
        do throws(WorkerFailure) {
            if let captureError {
                throw WorkerFailure(code: .internalError, message: "Crash capture cannot be installed: \(captureError)")
            }
            try Worker(configuration: configuration, listeners: listeners, slot: Capture.slot).run()
        } catch {
            WorkerStatus.failed(code: error.code.rawValue, message: error.message).send()
            throw ExitCode(error.code.rawValue)
        }
    }

    private static func installCapture() -> CaptureError? {
        do throws(CaptureError) {
            try Capture.install(
                .init(pageDescriptor: WorkerDescriptor.crashPage, memorySocket: WorkerDescriptor.memorySocket))
            return nil
        } catch {
            return error
        }
    }

    private static func readConfiguration() -> WorkerConfiguration? {
        var status = stat()
        guard fstat(WorkerDescriptor.configuration, &status) == 0, (1...1 << 20).contains(status.st_size) else {
            return nil
        }
        var bytes = [UInt8](repeating: 0, count: Int(status.st_size))
        let count = pread(WorkerDescriptor.configuration, &bytes, bytes.count, 0)
        guard count == bytes.count else { return nil }
        return try? JSONDecoder().decode(WorkerConfiguration.self, from: Data(bytes))
    }
}
