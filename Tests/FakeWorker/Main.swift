// Plays worker or collector in the supervisor's tests: it does what its payload or environment tells it.

import Glibc

@main
struct Main {
    static func main() {
        switch CommandLine.arguments.dropFirst().first {
        case "worker": FakeWorker.run()
        case "collect": FakeCollector.run()
        default: exit(64)
        }
    }
}
