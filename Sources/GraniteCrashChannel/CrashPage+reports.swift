// Says what of a crash page becomes what of a report. Separate because the collector, the supervisor and the guardian all ask.

package import GraniteReport

extension CrashPage.Kind {
    /// What a report of such a capture is; nil: there was none.
    package var reportKind: CrashReport.Kind? {
        switch self {
        case .none: nil
        case .signal: .signal
        case .dropSite: .dropSite
        case .unraisable: .unraisable
        case .threadException: .threadException
        case .dump: .dump
        case .hang: .hang
        case .panic: .panic
        case .growth: .growth
        case .uncaught: .uncaughtException
        }
    }
}

extension CountedOccasion {
    /// What the page says of a mistake that may have happened many times.
    package init(_ occasion: CrashPage.Occasion) {
        self.init()
        kind = occasion.kind.reportKind
        subject = occasion.subject.isEmpty ? nil : occasion.subject
        message = occasion.message.isEmpty ? nil : occasion.message
        count = Int(occasion.count)
        captured = Int(occasion.captured)
        if occasion.lastNanoseconds >= occasion.firstNanoseconds {
            overSeconds = Double((occasion.lastNanoseconds - occasion.firstNanoseconds) / 1_000_000) / 1000
        }
    }
}
