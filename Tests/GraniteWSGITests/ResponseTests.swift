// start_response, write and the body, as PEP 3333 wants them, on every CPython that is installed.

import Foundation
import Testing
import WSGIProbe

@Suite(.timeLimit(.minutes(3)))
struct ResponseTests {
    @Test(arguments: Python.installed)
    func probeApplicationGetsWhatPEP3333Promises(_ python: Python) async throws {
        let run = try await Probe.serve(
            python,
            [
                ScriptedRequest("/valid?x=1"),
                ScriptedRequest("/valid") {
                    $0.method = "POST"
                    $0.headers += [["Content-Type", "a/b"], ["Content-Length", "3"]]
                    $0.body = "abc"
                },
                ScriptedRequest("/write"), ScriptedRequest("/late"), ScriptedRequest("/excinfo"),
                ScriptedRequest("/twice"),
                ScriptedRequest("/reason"), ScriptedRequest("/iter"), ScriptedRequest("/listclose"),
                ScriptedRequest("/midraise"),
                ScriptedRequest("/cookies"), ScriptedRequest("/badname"), ScriptedRequest("/newline"),
                ScriptedRequest("/unihdr"),
                ScriptedRequest("/latin1"), ScriptedRequest("/badstatus"), ScriptedRequest("/none"),
                ScriptedRequest("/strbody"),
                ScriptedRequest("/empty"), ScriptedRequest("/err"), ScriptedRequest("/sysexit"),
                ScriptedRequest("/print"),
                ScriptedRequest("/closed"), ScriptedRequest("/"),
            ], target: "probe_app")
        let shown = run.answers.map { "\($0.status) \($0.reason) \($0.ending) \($0.text)" }
        #expect(
            shown == [
                "200 OK finish v", "200 OK finish abc", "200 OK finish onetwo", "201 Created finish late",
                "503 Busy finish busy",
                "500 OK fail ", "299 Custom Reason finish r", "200 OK finish abc", "200 OK finish x",
                "200 OK fail part1part2",
                "200 OK finish c", "500 OK fail ", "500 OK fail ", "500 OK fail ", "200 OK finish c", "500  fail ",
                "500  fail ",
                "500 OK fail ", "204 No Content finish ", "500  fail ", "500  fail ", "200 OK finish p",
                #"200 OK finish {"iter": 1, "list": 1}"#, "200 OK finish hello",
            ])
        #expect(run.answers[10].headers.suffix(2) == [["Set-Cookie", "a=1"], ["Set-Cookie", "b=2"]])
        #expect(run.answers[14].header("X-A") == "caf\u{e9}")
        #expect(run.errors.contains("ERR-MARK"))
        #expect(
            run.errors.contains("granite: request w1-00000014 failed: GET /err\nTraceback (most recent call last):\n"))
        #expect(run.errors.contains("RuntimeError: app error"))
    }

    @Test(arguments: [
        (
            #"["abc", []]"#,
            "ValueError: the status must be three digits from 200 to 599, a space and a reason, not \"abc\""
        ),
        (
            #"["200", []]"#,
            "ValueError: the status must be three digits from 200 to 599, a space and a reason, not \"200\""
        ),
        (#"["100 Continue", []]"#, "ValueError: the status must be three digits"),
        (#"["600 Far", []]"#, "ValueError: the status must be three digits"),
        (#"["200 O\nK", []]"#, "ValueError: the status must be three digits"),
        (#"[200, []]"#, "TypeError: the status must be a str, not int"),
        (#"["200 OK", [["a", "b", "c"]]]"#, "TypeError: each header must be a tuple of two str"),
        (#"["200 OK", ["ab"]]"#, "TypeError: each header must be a tuple of two str"),
        (#"["200 OK", [["a", 1]]]"#, "TypeError: each header must be a tuple of two str"),
        (#"["200 OK", [["", "b"]]]"#, "ValueError: \"\" is not a valid header name"),
        (#"["200 OK", [["a:", "b"]]]"#, "ValueError: \"a:\" is not a valid header name"),
        (#"["200 OK", [["a", "b\r\nc: d"]]]"#, "ValueError: the value of header \"a\" has a control character in it"),
        (#"["200 OK", [["a", "b\u0000"]]]"#, "ValueError: the value of header \"a\" has a control character in it"),
        (#"["200 OK", [["a", "b\u001b[2J"]]]"#, "ValueError: the value of header \"a\" has a control character in it"),
        (#"["200 OK", [["a", "b\u007f"]]]"#, "ValueError: the value of header \"a\" has a control character in it"),
        (#"["200 OK", [["a", "\u2603"]]]"#, "ValueError: a header's value has characters outside of latin-1: '☃'"),
        (#"["200 OK", [["a", "\ud800"]]]"#, "ValueError: a header's value has characters outside of latin-1"),
        (#"["200 OK", [["Connection", "close"]]]"#, "ValueError: \"Connection\" is a hop-by-hop header"),
        (
            #"["200 OK", [["transfer-encoding", "chunked"]]]"#,
            "ValueError: \"transfer-encoding\" is a hop-by-hop header"
        ),
        (#"["200 OK", [["Upgrade", "x"]]]"#, "ValueError: \"Upgrade\" is a hop-by-hop header"),
        (
            #"["200 OK", [["Content-Length", "1"], ["content-length", "1"]]]"#,
            "ValueError: Content-Length must be one decimal number"
        ),
        (#"["200 OK", [["Content-Length", "-1"]]]"#, "ValueError: Content-Length must be one decimal number"),
        (
            #"["200 OK", [["Content-Length", "1234567890123456789"]]]"#,
            "ValueError: Content-Length must be one decimal number"
        ),
    ])
    func invalidHeadIsRefusedBeforeAnyByteIsSent(_ arguments: String, _ error: String) async throws {
        let run = try await Probe.serve(try Python.usual, [ScriptedRequest("/bad_start") { $0.body = arguments }])
        #expect(run.answers[0].status == 500)
        #expect(run.answers[0].ending == "fail")
        #expect(run.errors.contains(error), "\(run.errors)")
    }

    @Test(arguments: Python.installed)
    func startResponseChecksItsArguments(_ python: Python) async throws {
        let run = try await Probe.serve(python, [ScriptedRequest("/keywords"), ScriptedRequest("/start_oddly")])
        #expect(run.answers[0].status == 201)
        #expect(run.answers[0].headers == [["X-A", "b"]])
        #expect(
            run.answers[1].value(as: [String].self) == [
                "TypeError: start_response(status, headers, exc_info=None) was called without headers",
                "TypeError: start_response(status, headers, exc_info=None) was called without headers",
                "TypeError: the headers must be a list, not tuple",
                "TypeError: exc_info must be what sys.exc_info() returns",
                "TypeError: the status must be a str, not bytes", "TypeError: start_response() takes fewer arguments",
                "TypeError: start_response() got an unexpected or repeated argument 'reason'",
                "TypeError: each header must be a tuple of two str",
            ])
    }

    @Test(arguments: Python.installed)
    func excInfoAfterTheHeadRaisesTheApplicationsException(_ python: Python) async throws {
        let run = try await Probe.serve(
            python,
            [
                ScriptedRequest("/error_after_head"), ScriptedRequest("/no_start"),
                ScriptedRequest("/write_then_error"), ScriptedRequest("/write_wrongly"),
            ])
        #expect(run.answers[0].text == "partKeyError: 'late'")
        #expect(run.answers[1].status == 500)
        #expect(run.errors.contains("AssertionError: the application sent a body without calling start_response first"))
        #expect(run.answers[2].calls == ["write 7", "flush", "fail"])
        #expect(run.answers[3].text == "TypeError: the body must be of bytes, and the application gave str (PEP 3333)")
    }

    @Test(arguments: Python.installed)
    func bodyIsSentAsItIsYielded(_ python: Python) async throws {
        let run = try await Probe.serve(
            python,
            ["several", "nothing", "no_chunks", "generator", "declared", "subclass"].map { ScriptedRequest("/" + $0) })
        let calls = run.answers.map { "\($0.bodyLength.map(String.init) ?? "-"): \($0.calls.joined(separator: ", "))" }
        #expect(
            calls == [
                "3: write 1, write 0, write 2, finish", "0: finish", "0: finish",
                "-: write 3, flush, write 3, flush, finish",
                "-: write 5, finish", "7: write 7, finish",
            ])
    }

    @Test(arguments: Python.installed)
    func closeIsCalledOnceHoweverTheResponseEnds(_ python: Python) async throws {
        let run = try await Probe.serve(
            python,
            [
                ScriptedRequest("/long") { $0.clientLeavesAfter = 3000 }, ScriptedRequest("/breaks"),
                ScriptedRequest("/breaks_first"),
                ScriptedRequest("/declared"), ScriptedRequest("/endless"), ScriptedRequest("/closes_badly"),
                ScriptedRequest("/closed"),
            ])
        #expect(run.answers[0].calls == ["write 1000", "flush", "write 1000", "flush", "write 1000", "fail"])
        #expect(run.answers.map(\.ending) == ["fail", "fail", "fail", "finish", "finish", "finish", "finish"])
        #expect(run.answers[2].status == 500)
        #expect(run.answers[4].calls == ["write 5", "finish"])
        #expect(run.errors.contains("ZeroDivisionError"))
        #expect(run.answers[6].json == #"{"breaks":1,"breaks_first":1,"declared":1,"endless":1,"long":1}"#)
    }

    /// close() of an iterable that had failed before its first chunk began a second response, which ended the worker.
    @Test(arguments: Python.installed)
    func nothingCanBeginAfterAFailure(_ python: Python) async throws {
        for kind in ["raises", "gives_text"] {
            let run = try await Probe.serve(
                python,
                [
                    ScriptedRequest("/fails_stubbornly?" + kind), ScriptedRequest("/stubborn"),
                    ScriptedRequest("/several"),
                ])
            #expect(run.answers.map(\.status) == [500, 200, 200])
            #expect(run.answers[0].calls == ["fail"])
            #expect(
                run.answers[1].value(as: [String].self) == [
                    "None", "KeyError: 'closing'",
                    "AssertionError: start_response was called a second time without exc_info (PEP 3333)", "None",
                ])
            #expect(run.answers[2].text == "abc")
        }
    }

    @Test(arguments: Python.installed)
    func onlyExceptionsAreRaisedAgain(_ python: Python) async throws {
        let run = try await Probe.serve(python, [ScriptedRequest("/excinfo_oddly")])
        let refusal = "TypeError: exc_info must be what sys.exc_info() returns"
        let texts = (run.answers[0].value(as: [Any].self) ?? []).compactMap { $0 as? String }
        #expect(texts.count == 6)
        #expect(texts[0] == refusal)
        #expect(texts[1] == "AssertionError: start_response was called with exc_info after the headers were sent")
        #expect(texts[2] == "KeyError: 'kept'")
        // What is no traceback is refused by newer Pythons, and left out by older ones.
        #expect(texts[3] == "KeyError: 'kept'" || texts[3].hasPrefix("TypeError: "))
        #expect(texts[4] == refusal && texts[5] == refusal)
    }

    @Test(arguments: Python.installed)
    func anEndlessBodyThatNobodyWantsIsNotIterated(_ python: Python) async throws {
        let run = try await Probe.serve(
            python,
            [ScriptedRequest("/forever") { $0.method = "HEAD" }, ScriptedRequest("/closed")])
        #expect(run.answers[0].status == 200)
        #expect(run.answers[0].calls == ["finish"])
        #expect(run.answers[1].json == #"{"forever":1}"#)
    }

    @Test(arguments: [
        ("str", "fail", 500, "gave str"), ("bytearray", "fail", 500, "gave bytearray"),
        ("int", "fail", 500, "returned int, not an iterable"),
        ("none", "fail", 500, "returned NoneType, not an iterable"), ("iterated", "fail", 200, "gave str"),
    ])
    func chunksMustBeBytes(_ kind: String, _ ending: String, _ status: Int, _ error: String) async throws {
        let run = try await Probe.serve(try Python.usual, [ScriptedRequest("/odd_chunk?" + kind)])
        #expect(run.answers[0].ending == ending)
        #expect(run.answers[0].status == status)
        #expect(run.errors.contains(error), "\(run.errors)")
    }

    @Test(arguments: Python.installed)
    func exitsOfTheApplicationDoNotEndTheWorker(_ python: Python) async throws {
        let run = try await Probe.serve(
            python, ["/exits?exit", "/exits?interrupt", "/exits?generator", "/several"].map { ScriptedRequest($0) })
        #expect(run.answers.map(\.status) == [500, 500, 500, 200])
        #expect(run.errors.contains("SystemExit: 3"))
        #expect(run.errors.contains("KeyboardInterrupt"))
    }

    @Test func theGILIsFreeWhileTheClientIsSlow() async throws {
        let run = try await Probe.serve(
            try Python.usual,
            [
                ScriptedRequest("/generator") { $0.isSlow = true }, ScriptedRequest("/several") { $0.isSlow = true },
                ScriptedRequest("/write") { $0.isSlow = true }, ScriptedRequest("/file?buffered"),
            ])
        #expect(run.answers.map(\.callsWithGIL) == [0, 0, 0, 0])
        #expect(run.answers[0].text == "onetwo")
    }

    @Test(arguments: Python.installed)
    func filesAreSentByDescriptorWhereThatSendsWhatReadWould(_ python: Python) async throws {
        let kinds = ["buffered", "raw", "offset", "length", "memory", "gzip", "empty"]
        let run = try await Probe.serve(
            python,
            kinds.flatMap { [ScriptedRequest("/file?" + $0), ScriptedRequest("/file_closed")] } + [
                ScriptedRequest("/file?text")
            ])
        let files = stride(from: 0, to: kinds.count * 2, by: 2).map { run.answers[$0] }
        #expect(
            files.map { "\($0.bodyLength.map(String.init) ?? "-") \($0.calls.joined(separator: ", ")): \($0.text)" }
                == [
                    "10 sendfile 10, finish: 0123456789", "10 sendfile 10, finish: 0123456789",
                    "6 sendfile 6, finish: 456789",
                    "- sendfile 3, finish: 012", "- write 4, flush, write 4, flush, write 2, flush, finish: 0123456789",
                    "- write 4, flush, write 4, flush, write 2, flush, finish: 0123456789", "0 finish: ",
                ])
        #expect(stride(from: 1, to: kinds.count * 2, by: 2).allSatisfy { run.answers[$0].text == "true" })
        #expect(run.answers.last?.status == 500)  // a text file gives str
        let direct = try await Probe.serve(python, [ScriptedRequest("/file_wrapper_directly")])
        let refusal = "TypeError: wsgi.file_wrapper takes a file and, optionally, a block size"
        #expect(direct.answers[0].json == "[[\"abcd\",\"ef\"],true,\"\(refusal)\",\"\(refusal)\",\"\(refusal)\",\"k\"]")
    }
}
