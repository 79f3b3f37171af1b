// environ and wsgi.input.

import Foundation
import Testing
import WSGIProbe

@Suite(.timeLimit(.minutes(3)))
struct RequestTests {
    @Test(arguments: Python.installed)
    func environHoldsTheRequest(_ python: Python) async throws {
        let request = ScriptedRequest("/caf%C3%A9/%zz%2fx%?a=%20b") {
            $0.method = "PATCH"
            $0.headers = [
                ["Host", "shop"], ["content-TYPE", "a/b"], ["Content-Length", "2"], ["X-Up", "caf\u{c3}\u{a9}"],
                ["Accept", "a"],
                ["accept", "b"], ["Cookie", "c=1"], ["COOKIE", "d=2"], [String(repeating: "n", count: 100), "long"],
            ]
            $0.body = "xy"
            $0.minorVersion = 0
            $0.remoteAddress = "::1"
            $0.remotePort = 1234
        }
        let run = try await Probe.serve(python, [request])
        let environ = try #require(run.answers[0].value(as: [String: Any].self))
        let shown = environ.filter { !$0.key.hasPrefix("wsgi.") }.mapValues { "\($0)" }
        #expect(
            shown == [
                "REQUEST_METHOD": "PATCH", "SCRIPT_NAME": "", "PATH_INFO": "/caf\u{c3}\u{a9}/%zz/x%",
                "QUERY_STRING": "a=%20b",
                "RAW_URI": "/caf%C3%A9/%zz%2fx%?a=%20b", "REQUEST_URI": "/caf%C3%A9/%zz%2fx%?a=%20b",
                "GATEWAY_INTERFACE": "CGI/1.1",
                "SERVER_SOFTWARE": "granite", "SERVER_NAME": "127.0.0.1", "SERVER_PORT": "8000",
                "SERVER_PROTOCOL": "HTTP/1.0",
                "REMOTE_ADDR": "::1", "REMOTE_PORT": "1234", "CONTENT_TYPE": "a/b", "CONTENT_LENGTH": "2",
                "HTTP_HOST": "shop",
                "HTTP_X_UP": "caf\u{c3}\u{a9}", "HTTP_ACCEPT": "a,b", "HTTP_COOKIE": "c=1; d=2",
                "HTTP_" + String(repeating: "N", count: 100): "long", "granite.request_id": "w1-00000001",
            ])
        #expect(environ["wsgi.input_terminated"] as? Bool == true)
        #expect(environ["wsgi.multithread"] as? Bool == false)
        #expect(environ["wsgi.run_once"] as? Bool == false)
        #expect(environ["wsgi.url_scheme"] as? String == "http")
        #expect(environ["wsgi.file_wrapper"] as? String == "type")
    }

    @Test func decodedChunkedBodyHasALength() async throws {
        let run = try await Probe.serve(
            try Python.usual,
            [
                ScriptedRequest {
                    $0.headers += [["Transfer-Encoding", "chunked"]]
                    $0.body = "abcd"
                }
            ])
        let environ = try #require(run.answers[0].value(as: [String: Any].self))
        #expect(environ["CONTENT_LENGTH"] as? String == "4")
        #expect(environ["HTTP_TRANSFER_ENCODING"] == nil)
    }

    @Test func requestsDoNotSeeEachOthersHeaders() async throws {
        let run = try await Probe.serve(
            try Python.usual,
            [
                ScriptedRequest { $0.headers += [["X-Secret", "1"]] }, ScriptedRequest { $0.method = "DELETE" },
                ScriptedRequest(),
            ])
        let last = try #require(run.answers[2].value(as: [String: Any].self))
        #expect(last["HTTP_X_SECRET"] == nil)
        #expect(last["REQUEST_METHOD"] as? String == "GET")
        #expect(last["PATH_INFO"] as? String == "/")
    }

    @Test func headerNamesInventedByClientsAreBounded() async throws {
        let requests = (0..<40).map { round in
            ScriptedRequest {
                $0.headers = (0..<50).map { ["X-\(round)-\($0)", "\($0)"] } + [["User-Agent", "probe"]]
            }
        }
        let run = try await Probe.serve(try Python.usual, requests)
        let last = try #require(run.answers.last?.value(as: [String: Any].self))
        #expect(last["HTTP_X_39_49"] as? String == "49")
        #expect(last["HTTP_USER_AGENT"] as? String == "probe")
    }

    @Test(arguments: Python.installed, [false, true])
    func inputReadsLikeAFile(_ python: Python, _ isInFile: Bool) async throws {
        let run = try await Probe.serve(
            python,
            [
                ScriptedRequest("/read_ways") {
                    $0.body = "abcd\nefgh\nijkl\nm\nn\nopq"
                    $0.isBodyInFile = isInFile
                },
                ScriptedRequest("/read_all") {
                    $0.body = "caf\u{e9}\u{0}"
                    $0.isBodyInFile = isInFile
                },
                ScriptedRequest("/count_lines") {
                    $0.body = String(repeating: "x", count: 20_000) + "\n" + String(repeating: "line\n", count: 5_000)
                    $0.isBodyInFile = isInFile
                },
                ScriptedRequest("/read_all"),
            ])
        #expect(run.answers[0].json == #"["","ab","cd\n","ef","gh\n","ijk",["l\n"],"m\n","n","\nopq","","","",[],[]]"#)
        #expect(run.answers[1].json == "\"caf\u{e9}\\u0000\"")
        #expect(run.answers[2].json == "[5001,45001,20001]")
        #expect(run.answers[3].json == "\"\"")
    }

    @Test func inputRefusesWrongArguments() async throws {
        let run = try await Probe.serve(try Python.usual, [ScriptedRequest("/read_wrongly") { $0.body = "x" }])
        #expect(
            run.answers[0].value(as: [String].self) == [
                "TypeError: 'str' object cannot be interpreted as an integer",
                "TypeError: read() takes fewer arguments",
                "TypeError: read() got an unexpected or repeated argument 'length'",
                "TypeError: readline() got an unexpected or repeated argument 'hint'",
                "ValueError: wsgi.input was read after its request had ended",
            ])
    }
}
