// Defines what a report must not keep: secrets in request targets, command lines and log lines. Applied before a report is stored.

package enum Redaction {
    package static let mark = "[redacted]"

    /// The report with the values of what looks like a secret by its name replaced by `[redacted]`.
    package static func redacted(_ report: CrashReport) -> CrashReport {
        var report = report
        report.request = report.request.map(redacted)
        report.requests = report.requests?.map(redacted)
        report.recentRequests = report.recentRequests?.map { request in
            var request = request
            request.target = request.target.map(target)
            return request
        }
        let argv = report.process?.argv
        report.process?.argv = argv.map(arguments)
        report.logTail = report.logTail?.map(text)
        // Both hold what the program wrote, an abort's message for one.
        let evidence = report.diagnosis?.evidence ?? []
        report.diagnosis?.evidence = evidence.map(text)
        let (subject, message) = (report.dropSite?.subject, report.dropSite?.message)
        report.dropSite?.subject = subject.map(text)
        report.dropSite?.message = message.map(text)
        let thrown = report.thrown?.message
        report.thrown?.message = thrown.map(text)
        report.occasions = report.occasions?.map { occasion in
            var occasion = occasion
            occasion.subject = occasion.subject.map(text)
            occasion.message = occasion.message.map(text)
            return occasion
        }
        report.threads = report.threads?.map(redacted)
        report.breadcrumbs = report.breadcrumbs?.map { crumb in
            var crumb = crumb
            crumb.message = crumb.message.map(text)
            return crumb
        }
        return report
    }

    /// A request target, `/login?user=ann&password=[redacted]`. The path stays.
    package static func target(_ target: String) -> String { text(target) }

    /// A command line: `--token=x`, `--token x`, `TOKEN=x`, `Authorization: Bearer x`.
    package static func arguments(_ arguments: [String]) -> [String] {
        var result: [String] = []
        var nextIsSecret = false
        for argument in arguments {
            let isOption = argument.hasPrefix("-")
            result.append(nextIsSecret && !isOption ? mark : text(argument))
            nextIsSecret = isOption && !argument.contains("=") && isSecret(argument.drop { $0 == "-" })
        }
        return result
    }

    private static func redacted(_ thread: ThreadReport) -> ThreadReport {
        var thread = thread
        let message = thread.exception?.message
        thread.exception?.message = message.map(text)
        func withoutSecrets(_ frame: Frame) -> Frame {
            guard frame.locals != nil else { return frame }
            var frame = frame
            frame.locals = frame.locals?.map { local in
                .init(name: local.name, value: isSecretName(local.name) ? mark : text(local.value))
            }
            return frame
        }
        thread.frames = thread.frames?.map(withoutSecrets)
        thread.unmergedPythonFrames = thread.unmergedPythonFrames?.map(withoutSecrets)
        return thread
    }

    private static func redacted(_ request: RequestInfo) -> RequestInfo {
        var request = request
        request.target = request.target.map(target)
        return request
    }

    /// Whether the value of a variable or of a dictionary's entry is to be left out because of its name. Broader than for
    /// text: each word of the name counts (`signing_key`, `authHeader`), and cookies do.
    package static func isSecretName(_ name: String) -> Bool {
        if isSecret(name[...]) { return true }
        var words = [""]
        var wasLower = false
        for character in name {
            guard character.isLetter || character.isNumber else {
                words.append("")
                wasLower = false
                continue
            }
            if character.isUppercase, wasLower { words.append("") }
            wasLower = character.isLowercase
            words[words.count - 1] += character.lowercased()
        }
        return words.contains { wholeNames.contains($0) && $0 != "code" || variableWords.contains($0) }
    }

    private static let variableWords: Set<String> = [
        "cookie", "cookies", "csrf", "keys", "bearer", "credentials", "dsn", "salt", "nonce",
    ]

    static func isSecret(_ name: Substring) -> Bool {
        let lower = name.lowercased()
        return wholeNames.contains(lower) || parts.contains { lower.contains($0) }
    }

    /// The same without the names that prose and code use for much else: `exit code: 1`, `session = Session()`.
    static func isUnmistakable(_ name: Substring) -> Bool {
        let lower = name.lowercased()
        return wholeNames.subtracting(weakNames).contains(lower)
            || parts.contains { !weakParts.contains($0) && lower.contains($0) }
    }

    static func isHeader(_ name: String) -> Bool { headers.contains(name.lowercased()) }

    private static let parts = [
        "password", "passwd", "passphrase", "secret", "token", "apikey", "api_key", "api-key", "credential",
        "signature", "session", "private",
        "authorization",
    ]
    private static let wholeNames: Set<String> = [
        "pwd", "pass", "key", "auth", "sig", "jwt", "code", "otp", "pin", "sid",
    ]
    private static let weakNames: Set<String> = ["key", "auth", "sig", "code", "pass", "pin"]
    private static let weakParts: Set<String> = ["signature", "session", "private"]
    private static let headers: Set<String> = [
        "authorization", "proxy-authorization", "cookie", "set-cookie", "x-api-key",
    ]
}
