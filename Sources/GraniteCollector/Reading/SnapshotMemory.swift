// Gives the memory that the handler copied into the crash page the shape of any other remote memory. It outlives the worker.

package import GraniteCrashChannel

/// The stacks, the vdso and the bytes near registers that are in the page.
package struct SnapshotMemory: RemoteMemory, Sendable {
    private let snapshot: CrashSnapshot

    package init(_ snapshot: CrashSnapshot) { self.snapshot = snapshot }

    package func read(_ ranges: [MemoryRange]) -> [[UInt8]?] {
        ranges.map { snapshot.memory(at: $0.address, length: $0.length).map(Array.init) }
    }
}
