// Mistakes that happen over and over: the first of a kind is captured, the others are counted.

import CGraniteCapture
import Glibc

enum OccasionCases {
    static let threads = 4
    static let timesEach = 10_000

    /// Forty thousand drops of one kind, by four threads at once. Each thread captures when it is told that a report is wanted.
    static func countFromManyThreads() -> Int32 {
        var running: [pthread_t] = []
        for _ in 0..<threads {
            var thread = pthread_t()
            pthread_create(
                &thread, nil,
                { _ in
                    for _ in 0..<OccasionCases.timesEach { OccasionCases.happen(kind: 0xfeed, subject: "cursor") }
                    return nil
                }, nil)
            running.append(thread)
        }
        for thread in running { pthread_join(thread, nil) }
        return 0
    }

    /// More kinds than the page has room for, each twice.
    static func countManyKinds() -> Int32 {
        for _ in 0..<2 {
            for kind in 1...(UInt64(GRANITE_MAX_OCCASIONS) + 10) { happen(kind: kind, subject: "kind \(kind)") }
        }
        return 0
    }

    private static func happen(kind: UInt64, subject: String) {
        guard granite_occasion_count(GRANITE_KIND_DROP_SITE.rawValue, kind, subject, "dropped elsewhere") else {
            return
        }
        subject.withCString { subject in
            var report = granite_occasion_report()
            report.kind = GRANITE_KIND_DROP_SITE.rawValue
            report.fingerprint = kind
            report.subject = subject
            "type=Cursor\ngeneration=2\n".withCString { details in
                report.details = details
                _ = granite_capture_occasion(&report)
            }
        }
    }
}
