// Defines how files become bodies: small ones through the buffer, large ones by sendfile(2). What the client does not
// take at once is left to the event loop, so that a slow reader of a large file holds no application thread. Separate:
// nothing else sends from a descriptor.

import Glibc

/// What is left of a file between the bytes in the output buffer and those that come after it.
struct PendingFile {
    var descriptor: Int32
    /// Whether the descriptor is ours to close.
    var isOwned: Bool
    var offset: Int
    var remaining: Int
}

extension ResponseWriter {
    /// A file up to this size is read into the buffer: one send instead of two.
    private static let smallFileBytes = 32 * 1024
    /// Of one file in one turn: a client that is as fast as the disk must not keep the loop from the others.
    private static let fileBytesPerTurn = 4 * 1024 * 1024

    func sendFile(descriptor: Int32, offset: Int, length: Int) -> Bool {
        if isGone || !isCommitted || isFinished { return false }
        var length = max(0, length)
        switch framing {
        case .headOnly: return true
        case .fixed(let remaining): length = min(length, remaining)
        case .chunked, .untilClose: break
        }
        if length == 0 { return true }
        if file != nil && !waitForRoom(0) { return false }
        if length <= Self.smallFileBytes { return copyFile(descriptor, offset, length) }
        if framing == .chunked {
            output.append(hexadecimal: length)
            output.append("\r\n")
        }
        if case .fixed(let remaining) = framing { framing = .fixed(remaining: remaining - length) }
        bodyBytes += length
        let copy = fcntl(descriptor, F_DUPFD_CLOEXEC, 0)
        file = PendingFile(
            descriptor: copy >= 0 ? copy : descriptor, isOwned: copy >= 0, offset: offset, remaining: length)
        // Without a descriptor to spare the caller's must do, for as long as this call lasts.
        return copy >= 0 ? send() : waitForRoom(0)
    }

    /// Sends of the pending file what the socket takes, at most a turn's worth, then what comes after it. Returns false
    /// if the client is gone, or must not take the body for whole.
    func sendPendingFile() -> Bool {
        guard var part = file else { return !isGone }
        var budget = Self.fileBytesPerTurn
        while part.remaining > 0 && budget > 0 {
            switch transport.send(file: part.descriptor, offset: part.offset, length: min(part.remaining, budget)) {
            case .moved(0):
                return abandon(part)
            case .moved(let count):
                part.offset += count
                part.remaining -= count
                budget -= count
                took(count)
            case .wouldBlock:
                file = part
                wasRefused = true
                return true
            case .failed:
                return abandon(part)
            }
        }
        file = part
        wasRefused = false
        if part.remaining > 0 { return true }
        closeFile()
        if framing == .chunked { output.append(isFinished ? "\r\n0\r\n\r\n" : "\r\n") }
        return send()
    }

    func closeFile() {
        if let file, file.isOwned { close(file.descriptor) }
        file = nil
    }

    /// The file ended before its time, or the client is gone: a chunk or length that was announced can't be ended
    /// early.
    private func abandon(_ part: PendingFile) -> Bool {
        bodyBytes -= part.remaining
        closeFile()
        cut()
        isGone = true
        return false
    }

    private func copyFile(_ descriptor: Int32, _ offset: Int, _ length: Int) -> Bool {
        withUnsafeTemporaryAllocation(byteCount: length, alignment: 16) { buffer in
            var filled = 0
            while filled < length {
                let count = pread(descriptor, buffer.baseAddress! + filled, length - filled, off_t(offset + filled))
                if count < 0 && errno == EINTR { continue }
                if count <= 0 { break }
                filled += count
            }
            return write(UnsafeRawBufferPointer(rebasing: buffer[..<filled])) && filled == length
        }
    }
}
