// Brings what servers have of a build into a symbol store: fetched, checked, then stored like any other file.

/// Fetches for one command.
package struct SymbolFetch {
    private let client: DebuginfodClient
    private let store: SymbolStore

    package init(client: DebuginfodClient, store: SymbolStore) {
        self.client = client
        self.store = store
    }

    /// Fetches the debug file, or where no server has one the executable, and puts it into the store.
    /// - Returns: where it lies now.
    /// - Throws: a sentence, also when a server answered with a file of another build.
    package func fetch(buildID: [UInt8]) throws(DebuginfodClient.Failure) -> String {
        do throws(DebuginfodClient.Failure) {
            return try store(client.fetch(.debuginfo, buildID: buildID), buildID)
        } catch {
            guard error.isAbsence else { throw error }
            return try store(client.fetch(.executable, buildID: buildID), buildID)
        }
    }

    private func store(_ path: String, _ buildID: [UInt8]) throws(DebuginfodClient.Failure) -> String {
        do throws(SymbolsError) {
            let object = try ObjectFile(path: path, maxBytes: .max)
            guard object.buildID == buildID else {
                throw SymbolsError(code: .malformed("content: it is another build's"), path: "The server's answer")
            }
            switch try store.add(path) {
            case .added(let path, _), .known(let path): return path
            }
        } catch {
            throw DebuginfodClient.Failure(description: error.description)
        }
    }
}
