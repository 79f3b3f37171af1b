// Follows the contexts of Swift async functions from callee to caller. Separate from the choice of the right chain, which needs names: this
// must be done while the worker is held, because contexts are on its heap.

import GraniteReport

/// Reads chains of async contexts. Everything that it reads is foreign.
enum AsyncChains {
    /// Callers of one function.
    static let maxLength = 64
    /// Different words that are tried.
    static let maxStarts = 64

    /// An async function's context begins with its caller's context and the function to resume there (swift, AsyncContext in
    /// Runtime/Concurrency). Whether a word is a context is not known here: anything that does not look like one ends its chain. All
    /// chains go forward together, one round trip a link.
    /// - Returns: by the word that a chain starts with, where its callers resume; words without a chain are left out.
    static func read(_ candidates: [[UInt64]], map: MemoryMap, memory: any RemoteMemory) -> [UInt64: [UInt64]] {
        var chains: [UInt64: [UInt64]] = [:]
        var heads: [(start: UInt64, context: UInt64, seen: Set<UInt64>)] = []
        var starts: Set<UInt64> = []
        for word in candidates.joined() where isContext(word, map) && starts.insert(word).inserted {
            heads.append((word, word, [word]))
            if heads.count == maxStarts { break }
        }
        for _ in 0..<maxLength where !heads.isEmpty {
            let answers = memory.read(heads.map { MemoryRange(address: $0.context, length: 16) })
            var next: [(start: UInt64, context: UInt64, seen: Set<UInt64>)] = []
            for (head, answer) in zip(heads, answers) {
                guard let answer, answer.count == 16 else { continue }
                let (parent, resume) = answer.withUnsafeBytes {
                    ($0.loadUnaligned(as: UInt64.self), $0.loadUnaligned(fromByteOffset: 8, as: UInt64.self))
                }
                guard map.mapping(containing: resume)?.isExecutable == true else { continue }
                chains[head.start, default: []].append(resume)
                var seen = head.seen
                guard isContext(parent, map), seen.insert(parent).inserted else { continue }
                next.append((head.start, parent, seen))
            }
            heads = next
        }
        return chains
    }

    private static func isContext(_ word: UInt64, _ map: MemoryMap) -> Bool {
        word != 0 && word % 8 == 0 && map.mapping(containing: word)?.isWritable == true
    }
}
