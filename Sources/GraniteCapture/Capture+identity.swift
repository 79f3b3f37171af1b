// What the supervisor wrote into the crash page before the process started.

import CGraniteCapture

extension Capture {
    /// Number of the worker's slot, from 1; 0 where no supervisor made the page.
    public static var slot: Int { Int(granite_capture_page()?.pointee.slot ?? 0) }
}
