// Notes what the program does on its way in the crash page: a ring of the last 64. A report shows them oldest first.

import CGraniteCapture

extension Capture {
    /// Leaves a breadcrumb. Any thread; no system call but the thread's first. Two threads that lap the ring at once
    /// may garble one entry, never more.
    ///
    /// - Parameters:
    ///   - category: a word, e.g. "worker"; cut to 23 bytes, and at a NUL.
    ///   - message: cut to 215 bytes, and at a NUL.
    public static func breadcrumb(_ category: String, _ message: String) {
        granite_breadcrumb_note(category, message)
    }
}
