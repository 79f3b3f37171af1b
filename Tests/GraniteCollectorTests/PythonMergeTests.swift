import Foundation
import GraniteCollector
import GraniteReport
import TestSupport
import Testing

struct PythonMergeTests {
    @Test func pythonFramesTakeTheInnerSideOfTheirInterpreterLoop() {
        let merged = mergePythonFrames(
            native: native("strlen", "z_get", eval, "_PyEval_Vector", "ffi_call", eval, "main"),
            python: [python("string_at"), python("crash", ends: true), python("view"), python("app"), .shimForTests])
        #expect(
            names(merged.frames) == [
                "strlen", "z_get", "py string_at", "py crash", eval, "_PyEval_Vector", "ffi_call", "py view", "py app",
                eval, "main",
            ])
        #expect(merged.unmerged == nil)
        #expect(merged.note == nil)
        #expect(merged.frames.compactMap(\.index) == Array(0..<11))
    }

    @Test func partsOfTheLoopThatTheCompilerMovedCount() {
        for name in [
            "_PyEval_EvalFrameDefault.cold", "_PyEval_EvalFrameDefault.cold.123", "_PyEval_EvalFrameDefault.lto_priv.0",
        ] {
            let merged = mergePythonFrames(native: native("f", name, "main"), python: [python("a", ends: true)])
            #expect(names(merged.frames) == ["f", "py a", name, "main"])
        }
        let other = mergePythonFrames(native: native("_PyEval_EvalFrameDefaultHook"), python: [python("a", ends: true)])
        #expect(other.unmerged?.count == 1)
    }

    @Test func framesInlinedIntoTheLoopRunInsideOfThePythonFrame() {
        var stack = native("_Py_DECREF", eval, "main")
        stack[0].inlined = true
        let merged = mergePythonFrames(native: stack, python: [python("a", ends: true)])
        #expect(names(merged.frames) == ["_Py_DECREF", "py a", eval, "main"])
    }

    /// While a function's locals are being destroyed, 3.12 has unlinked its frame already.
    @Test func aLoopThatRunsOnlyItsShimGetsNoFrame() {
        let merged = mergePythonFrames(
            native: native(eval, "slot_tp_finalize", eval, "main"),
            python: [python("__del__"), .shimForTests, .shimForTests])
        #expect(names(merged.frames) == ["py __del__", eval, "slot_tp_finalize", eval, "main"])
        #expect(merged.note == nil)
    }

    @Test func aMismatchLeavesBothSidesAsTheyAre() {
        let stack = native("f", eval, "main")
        for frames in [
            [python("a", ends: true), python("b", ends: true)],  // more runs than loops
            [python("a")],  // a run without an end
            [],
        ] {
            let merged = mergePythonFrames(native: stack, python: frames)
            #expect(merged.frames == stack)
            #expect(names(merged.unmerged ?? []) == frames.map { "py \($0.name)" })
            #expect(merged.note?.hasPrefix("Python frames are listed apart: ") == true)
        }
        #expect(
            mergePythonFrames(native: stack, python: []).note
                == "Python frames are listed apart: 0 runs of Python frames, but 1 native interpreter loop.")
    }

    @Test func aThreadWithoutPythonIsUntouched() {
        let stack = native("nanosleep", "main")
        let merged = mergePythonFrames(native: stack, python: [])
        #expect(merged.frames == stack && merged.unmerged == nil && merged.note == nil)
    }

    @Test func whatACutNativeStackCannotPlaceGoesOutside() {
        let frames = [python("a", ends: true), python("b", ends: true), python("c", ends: true)]
        let merged = mergePythonFrames(native: native("f", eval, "g"), python: frames, nativeTruncated: true)
        #expect(names(merged.frames) == ["f", "py a", eval, "g", "py b", "py c"])
        #expect(merged.note != nil)
        // Interrupted in the loop itself: whether the innermost frame is linked already cannot be told, not even by
        // equal counts.
        #expect(
            mergePythonFrames(native: native(eval, "g"), python: frames, nativeTruncated: true).unmerged?.count == 3)
        #expect(
            mergePythonFrames(native: native(eval, eval, eval), python: frames, nativeTruncated: true).unmerged?.count
                == 3)
    }

    /// As in a stack overflow at the loop's first push, or a dump of a thread that is just returning.
    @Test func aLoopThatHasNotLinkedItsFrameGetsNone() {
        let merged = mergePythonFrames(native: native(eval, "f", eval, "main"), python: [python("a", ends: true)])
        #expect(names(merged.frames) == [eval, "f", "py a", eval, "main"])
        #expect(
            merged.note == "The innermost interpreter loop was entering or leaving a function and had no Python frame.")
        #expect(
            mergePythonFrames(native: native("g", eval, "f", eval), python: [python("a", ends: true)]).unmerged?.count
                == 1)
    }

    @Test func aLoopInlinedIntoItsOwnPartCountsOnce() {
        var stack = native(eval, "_PyEval_EvalFrameDefault.cold", "main")
        stack[0].inlined = true
        #expect(mergePythonFrames(native: stack, python: [python("a", ends: true)]).unmerged == nil)
    }

    @Test func theInterpretersOwnFramesAreNotTheApplications() {
        var stack = native("f", eval, "_PyEval_Vector", "main")
        for (index, module) in [
            "/app/ext.so", "/lib/libpython3.11.so.1.0", "/lib/libpython3.11.so.1.0", "/app/granite",
        ].enumerated() {
            stack[index].module = module
        }
        let merged = mergePythonFrames(native: stack, python: [python("a", ends: true)])
        #expect(merged.frames.map(\.inApp) == [nil, nil, false, false, nil])
    }

    @Test func cutPythonFramesLeaveOuterLoopsEmpty() {
        let merged = mergePythonFrames(
            native: native("f", eval, "g", eval, "h", eval), python: [python("a", ends: true), python("b")],
            pythonTruncated: true)
        #expect(names(merged.frames) == ["f", "py a", eval, "g", "py b", eval, "h", eval])
        #expect(merged.note != nil)
    }

    /// Whatever comes in: nothing is lost, nothing is made up, and each side keeps its order.
    @Test func nothingIsDroppedAndOrderIsKept() {
        var generator = SeededGenerator(seed: 7)
        for round in 0..<2000 {
            let stack = native(
                (0..<Int.random(in: 0...12, using: &generator)).map { Bool.random(using: &generator) ? eval : "f\($0)" }
            )
            let frames = (0..<Int.random(in: 0...8, using: &generator)).map { number -> PythonFrame in
                Int.random(in: 0...4, using: &generator) == 0
                    ? .shimForTests : python("p\(number)", ends: Bool.random(using: &generator))
            }
            let merged = mergePythonFrames(
                native: stack, python: frames, nativeTruncated: round % 2 == 0, pythonTruncated: round % 3 == 0)
            #expect(names(merged.frames.filter { $0.kind == .native }) == names(stack))
            let visible = frames.filter { !$0.isShim }.map { "py \($0.name)" }
            #expect(names(merged.frames.filter { $0.kind == .python } + (merged.unmerged ?? [])) == visible)
            if merged.unmerged != nil { #expect(merged.frames == stack && merged.note != nil) }
        }
    }

    /// Native stacks of the stopped process by elfutils, Python frames by our reader: together nothing is left over.
    @Test(
        .enabled(if: FileManager.default.isExecutableFile(atPath: "/usr/bin/eu-stack"), "needs elfutils"),
        .timeLimit(.minutes(5)),
        arguments: PythonInstallation.all, ["nest", "coroutines", "dropped", "collecting", "text"])
    func realStacksMergeCompletely(_ python: PythonInstallation, scenario: String) async throws {
        let host = try await PythonHost(python, scenario, threads: scenario == "collecting" ? 1 : 4)
        let snapshot = try host.read()
        let stacks = try await Self.nativeStacks(pid: host.pid)
        for truth in host.truth.threads {
            let thread = try #require(snapshot.threads.first { $0.threadID == truth.ident })
            let stack = try #require(stacks[truth.native])
            let merged = mergePythonFrames(native: stack, python: thread.frames)
            #expect(
                merged.unmerged == nil, "\(merged.note ?? "")\n\(names(merged.frames))\n\(names(merged.unmerged ?? []))"
            )
            #expect(merged.note == nil)
            #expect(names(merged.frames.filter { $0.kind == .native }) == names(stack))
            let pythonNames = truth.expected.map { "py \($0.name)" }
            #expect(names(merged.frames.filter { $0.kind == .python }) == pythonNames)
            if scenario == "nest" {
                // C called back from C: libc's qsort stands between the callback and the function that sorted.
                let all = names(merged.frames)
                let callback = try #require(all.firstIndex { $0.hasSuffix("compare") })
                let sorts = try #require(all.firstIndex { $0 == "py mapped" })
                let qsort = try #require(all.firstIndex { $0.hasPrefix("qsort") })
                #expect(callback < qsort && qsort < sorts)
            }
        }
        await host.end()
    }

    /// Stopped at any instruction, not only in a system call: frames are whole, and a mismatch is rare and told.
    @Test(
        .enabled(if: FileManager.default.isExecutableFile(atPath: "/usr/bin/eu-stack"), "needs elfutils"),
        .timeLimit(.minutes(5)),
        arguments: PythonInstallation.oneOfEach)
    func threadsStoppedAnywhereAreReadAndMerged(_ python: PythonInstallation) async throws {
        let host = try await PythonHost(python, "busy")
        var apart = 0
        for _ in 0..<10 {
            host.command.send(signal: SIGCONT)
            try await Task.sleep(for: .microseconds(Int.random(in: 100...2000)))  // any moment will do
            try await host.stop()
            let snapshot = try host.read()
            #expect(snapshot.problems == [])
            let thread = try #require(snapshot.threads.first)
            let outermost = thread.frames.last { !$0.isShim }
            #expect(outermost?.name == "<module>")
            #expect(thread.frames.contains { $0.name == "busy" })
            #expect(thread.frames.allSatisfy { $0.isShim || $0.file == outermost?.file || $0.file.contains("/re") })
            let stack = try #require(try await Self.nativeStacks(pid: host.pid)[Int(host.pid)])
            let merged = mergePythonFrames(native: stack, python: thread.frames)
            #expect(names(merged.frames.filter { $0.kind == .native }) == names(stack))
            if merged.unmerged != nil { apart += 1 }
        }
        #expect(apart <= 3)
        await host.end()
    }

    static func nativeStacks(pid: pid_t) async throws -> [Int: [Frame]] {
        let result = try await Command.run(URL(fileURLWithPath: "/usr/bin/eu-stack"), ["-p", "\(pid)", "-n", "0"])
        try #require(result.output.contains("TID"), "\(result.errors)")
        var stacks: [Int: [Frame]] = [:]
        var tid = 0
        for line in result.output.split(separator: "\n") {
            let words = line.split(separator: " ")
            if words.first == "TID", words.count == 2 { tid = Int(words[1].dropLast()) ?? 0 }
            guard line.hasPrefix("#"), words.count >= 2 else { continue }
            stacks[tid, default: []] += native(words.count > 2 ? String(words[2]) : "?")
        }
        return stacks
    }
}

private let eval = "_PyEval_EvalFrameDefault"

private func native(_ names: String...) -> [Frame] { native(names) }

private func native(_ names: [String]) -> [Frame] {
    names.map { name in
        var frame = Frame(kind: .native)
        frame.symbol = name
        return frame
    }
}

private func python(_ name: String, ends: Bool = false) -> PythonFrame {
    PythonFrame(file: "app.py", name: name, line: 1, endsNativeEval: ends)
}

extension PythonFrame {
    fileprivate static let shimForTests = PythonFrame(file: "", name: "", line: nil, endsNativeEval: true, isShim: true)
}

private func names(_ frames: [Frame]) -> [String] {
    frames.map { ($0.kind == .python ? "py " : "") + ($0.symbol ?? "") }
}
