// Reads a wait status (waitpid(2)); its macros do not reach Swift.

package import GraniteReport

extension ExitStatus {
    package init(waitStatus: Int32) {
        self.init()
        let signal = Int(waitStatus & 0x7f)
        if signal == 0 {
            code = Int((waitStatus >> 8) & 0xff)
        } else {
            number = signal
            self.signal = SignalName.name(signal)
            coreDumped = waitStatus & 0x80 != 0
        }
    }
}
