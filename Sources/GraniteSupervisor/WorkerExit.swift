// Defines how a worker's end is read from its wait status, and whether it was to be expected.

package import GraniteReport

extension ExitStatus {
    /// From a status of waitpid(2).
    package init(waitStatus: Int32) {
        self.init()
        let signal = waitStatus & 0x7F
        if signal == 0 {
            code = Int(waitStatus >> 8 & 0xFF)
        } else {
            number = Int(signal)
            self.signal = SignalName.name(Int(signal))
            coreDumped = waitStatus & 0x80 != 0
        }
    }

    /// `died of SIGSEGV`, `exited with code 7`.
    var phrase: String {
        if let signal { return "died of \(signal)" }
        return "exited with code \(code ?? 0)"
    }
}

/// What the supervisor knew of a worker when it died.
struct ExitExpectation: Sendable, Equatable {
    /// SIGTERM was sent to it.
    var toldToStop = false
    /// SIGKILL was sent to it, because the operator did not want to wait for it.
    var killed = false
    /// SIGKILL was sent to it for a reason that is worth a report, as a clause: `it was not ready after 60 s (--startup-timeout)`.
    var killedBecause: String?
    /// Who else than the supervisor told it to stop, a clause.
    var stoppedBy: String?
    /// It said itself that it is stopping.
    var saidStopping = false

    /// Who made it stop orderly while nobody here had asked for it; nil if the supervisor did.
    var unaskedStop: String? { toldToStop ? nil : stoppedBy }

    /// Whether the end is no failure: it ended orderly while stopping, or of a signal that asks for it. A worker that crashes while
    /// it stops has still crashed.
    func covers(_ exit: ExitStatus) -> Bool {
        if exit.code == 0 { return toldToStop || saidStopping }
        // SIGTERM or Ctrl-C before its handler was there.
        if exit.number == 15 || exit.number == 2 { return toldToStop }
        if exit.number == 9 { return killed }
        return false
    }
}
