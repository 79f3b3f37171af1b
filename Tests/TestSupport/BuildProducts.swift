// Finds the executables that were built beside the tests.

package import Foundation

package enum BuildProducts {
    /// The folder of the running test bundle: `.build/debug` or `.build/release`.
    package static var directory: URL {
        URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath().deletingLastPathComponent()
    }

    /// The root of the checkout.
    package static var checkout: URL {
        URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
    }

    /// An executable of the package: `granite`, `granite-crash`, `CrashProbe`.
    package static func executable(_ name: String) -> URL { directory.appendingPathComponent(name) }
}
