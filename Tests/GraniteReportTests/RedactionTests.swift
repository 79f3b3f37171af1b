// Secrets do not get into reports; what only looks like one stays readable.

import GraniteReport
import Testing

struct RedactionTests {
    @Test(arguments: [
        ("/login?user=ann&password=hunter2&next=/", "/login?user=ann&password=[redacted]&next=/"),
        ("/cb?code=abc&state=1", "/cb?code=[redacted]&state=1"),
        ("/a?access_token=x%20y#f", "/a?access_token=[redacted]"),
        ("/tokens/7?page=2&zipcode=8000", "/tokens/7?page=2&zipcode=8000"), ("/x?token=&a=1", "/x?token=&a=1"),
        ("", ""),
    ])
    func targetsLoseTheValuesOfSecrets(target: String, redacted: String) {
        #expect(Redaction.target(target) == redacted)
    }

    @Test func commandLinesLoseTheValuesOfSecrets() {
        #expect(
            Redaction.arguments([
                "granite", "serve", "--port", "80", "--db-password", "hunter2", "--api-key=k1", "DB_SECRET=s",
                "postgres://ann:pw@db/shop",
                "-H", "Authorization: Bearer abc def", "--token", "--verbose", "app:app",
            ]) == [
                "granite", "serve", "--port", "80", "--db-password", "[redacted]", "--api-key=[redacted]",
                "DB_SECRET=[redacted]",
                "postgres://ann:[redacted]@db/shop", "-H", "Authorization: [redacted]", "--token", "--verbose",
                "app:app",
            ])
    }

    @Test(arguments: [
        "password", "db_password", "DB_PASSWORD", "authHeader", "HTTP_AUTHORIZATION", "HTTP_COOKIE", "signing_key",
        "key",
        "csrfToken", "sessionid", "api_keys", "pwd", "DATABASE_DSN",
    ])
    func variablesWithTheNameOfASecretAreSecret(name: String) { #expect(Redaction.isSecretName(name)) }

    @Test(arguments: ["author", "keyword", "monkey", "status_code", "passenger", "self", "", "ключ"])
    func otherVariablesAreNot(name: String) { #expect(!Redaction.isSecretName(name)) }

    @Test func aReportIsRedactedEverywhereThatTheWorldWrites() {
        var report = FullReport.make()
        report.request?.target = "/?password=1"
        report.requests?[0].target = "/?password=2"
        report.process?.argv = ["--token=3"]
        report.logTail = ["Cookie: sid=4", "ValueError: x"]
        report.breadcrumbs?[0].message = "secret=5"
        report.threads?[0].exception?.message = "token=6 refused"
        report.threads?[0].frames?[0].locals = [
            .init(name: "dbPassword", value: "'7'"), .init(name: "query", value: "'a=1&token=8'"),
        ]
        let redacted = Redaction.redacted(report)
        #expect(redacted.request?.target == "/?password=[redacted]")
        #expect(redacted.requests?[0].target == "/?password=[redacted]")
        #expect(redacted.process?.argv == ["--token=[redacted]"])
        #expect(redacted.logTail == ["Cookie: [redacted]", "ValueError: x"])
        #expect(redacted.breadcrumbs?[0].message == "secret=[redacted]")
        #expect(redacted.threads?[0].exception?.message == "token=[redacted] refused")
        #expect(
            redacted.threads?[0].frames?[0].locals == [
                .init(name: "dbPassword", value: "[redacted]"), .init(name: "query", value: "'a=1&token=[redacted]'"),
            ])
    }
}
