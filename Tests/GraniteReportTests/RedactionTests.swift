// Secrets do not get into reports; what only looks like one stays readable.

import GraniteReport
import TestSupport
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
        ("password='hunter2'", "password='[redacted]'"), ("key=\"a b\" x", "key=\"[redacted]\" x"),
        ("password = hunter2", "password = [redacted]"), ("password: hunter2, ok", "password: [redacted], ok"),
        ("{'password': 'hunter2', 'a': 1}", "{'password': '[redacted]', 'a': 1}"),
        ("{\"token\": \"x\"}", "{\"token\": \"[redacted]\"}"), ("{\"token\":\"x\"}", "{\"token\":\"[redacted]\"}"),
        (#"{'body': '{\"token\": \"x\", \"a\": 1}'}"#, #"{'body': '{\"token\": \"[redacted]\", \"a\": 1}'}"#),
        (#"{\"token\": \"x\\\"y\", \"a\": 1}"#, #"{\"token\": \"[redacted]\", \"a\": 1}"#),
        (#"password='a\'b', c"#, #"password='[redacted]', c"#), (#"password='a\\', c"#, #"password='[redacted]', c"#),
        ("password='cut", "password='[redacted]"), ("password=''", "password=''"),
        ("{b'api_key': b'x'}", "{b'api_key': b'[redacted]'}"), ("{'pin': 1234}", "{'pin': [redacted]}"),
        ("password=SecretStr('x')", "password=[redacted])"), ("password == 'x'", "password == '[redacted]'"),
        ("password: str = 'x'", "password: [redacted] = '[redacted]'"),
        ("signing_key = 'x'", "signing_key = '[redacted]'"), ("{'cookie': 'a=b'}", "{'cookie': '[redacted]'}"),
        ("{'password': [redacted]}", "{'password': [redacted]}"),
        ("password='x'\nb='y'", "password='[redacted]'\nb='y'"),
        ("got Bearer abc.def, no", "got Bearer [redacted], no"), ("Basic YTpi", "Basic [redacted]"),
        ("Authorization=Bearer abc", "Authorization=[redacted]"),
        ("{'Authorization': 'Bearer abc'}", "{'Authorization': '[redacted]'}"),
    ])
    func textsLoseTheValuesOfSecretsHoweverTheyAreWritten(text: String, redacted: String) {
        #expect(Redaction.text(text) == redacted)
        #expect(Redaction.text(redacted) == redacted)
    }

    @Test(arguments: [
        "KeyError: 'x'", "Duplicate values for key: 'a'", "jwt.InvalidTokenError: it has expired", "exit code: 1",
        "Basic authentication failed",
        "  File \"/srv/secrets.py\", line 3, in login", "    session = Session(engine)", "Bearer token is missing",
        "    key = row.id", "for key, value in x:", "http://host:80/a", "author: 'ann'", "{'status': 'ok'}", "'",
        "=:\"",
    ])
    func otherTextsStayAsTheyAre(text: String) { #expect(Redaction.text(text) == text) }

    @Test func longTextsTakeLinearTime() {
        let name = "password" + String(repeating: "a", count: 20_000)
        for part in ["=", "'", "\\\"", ": x", " : x", "\\", "token='", "Bearer ", "token=[redacted]"] {
            let text = name + String(repeating: part, count: 20_000)
            #expect(!Redaction.text(text).isEmpty)
        }
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
        report.diagnosis?.evidence = ["the last message was \"password=9\"", "si_addr 0x0"]
        report.dropSite?.message = "token=10 was released"
        report.dropSite?.subject = "Connection(password='11')"
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
        #expect(
            redacted.diagnosis?.evidence == ["the last message was \"password=[redacted]\"", "si_addr 0x0"])
        #expect(redacted.dropSite?.message == "token=[redacted] was released")
        #expect(redacted.dropSite?.subject == "Connection(password='[redacted]')")
        #expect(redacted.threads?[0].exception?.message == "token=[redacted] refused")
        #expect(
            redacted.threads?[0].frames?[0].locals == [
                .init(name: "dbPassword", value: "[redacted]"), .init(name: "query", value: "'a=1&token=[redacted]'"),
            ])
    }
}
