// Defines how long a response may hold its application thread by waiting for the client. Pure; separate so that it is
// tested without a clock.

/// The time that one response may spend waiting: the write time-out, and more for every byte that the client took.
/// Without the second bound a client that takes a few bytes a minute would hold the only application thread for ever.
struct ClientPatience: Equatable {
    /// For one wait, and to begin with for all of them together.
    let timeoutNanoseconds: UInt64
    /// What a client must take, on average over the time waited for it. 0: any.
    let minimumBytesPerSecond: UInt64
    private var waitedNanoseconds: UInt64 = 0

    init(timeoutNanoseconds: UInt64, minimumBytesPerSecond: UInt64) {
        self.timeoutNanoseconds = timeoutNanoseconds
        self.minimumBytesPerSecond = minimumBytesPerSecond
    }

    /// Nanoseconds that the next wait may last, 0 if the client has used up all.
    ///
    /// - Parameter takenBytes: by the client, of this response.
    func rest(takenBytes: UInt64) -> UInt64 {
        if minimumBytesPerSecond == 0 { return timeoutNanoseconds }
        let earned = nanoseconds(for: takenBytes, at: minimumBytesPerSecond)
        let (total, overflow) = timeoutNanoseconds.addingReportingOverflow(earned)
        if overflow { return timeoutNanoseconds }
        return total > waitedNanoseconds ? min(timeoutNanoseconds, total - waitedNanoseconds) : 0
    }

    mutating func waited(nanoseconds: UInt64) { waitedNanoseconds &+= nanoseconds }

    /// For the next response.
    mutating func reset() { waitedNanoseconds = 0 }
}

/// How long so many bytes take at a rate, which is not 0; a number beyond 30 years is as good as never.
func nanoseconds(for bytes: UInt64, at bytesPerSecond: UInt64) -> UInt64 {
    let (product, overflow) = bytes.multipliedReportingOverflow(by: 1_000_000_000)
    return overflow ? min(bytes / bytesPerSecond, 1_000_000_000) &* 1_000_000_000 : product / bytesPerSecond
}
