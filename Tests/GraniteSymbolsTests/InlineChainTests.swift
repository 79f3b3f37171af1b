// Whole chains of inlined functions, with the position of each call, in the languages that share a worker.

import Foundation
import GraniteSymbols
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(5))) struct InlineChainTests {
    @Test(arguments: [Fixtures.clang, Fixtures.gcc, Fixtures.dwarf4])
    func showsEachInlinedCFunctionWithTheLineOfItsCall(_ fixture: Task<Fixture, any Error>) async throws {
        let frames = try await fixture.value.firstFrames { $0.first?.symbol == "inner" }
        #expect(
            frames.map(\.summary) == [
                "inner chain.c:2:12 inlined C",
                "middle chain.c:5:12 inlined C",
                "outer chain.c:8:12 C",
            ])
    }

    @Test(.enabled(if: Tool.exists("g++"))) func namesCPlusPlusMembersAndLocalFunctions() async throws {
        let fixture = try await Fixtures.cplus.value
        let frames = try fixture.firstFrames { $0.first?.symbol.contains("get") == true }
        #expect(
            frames.map(\.summary) == [
                "space::Box::get(int volatile*) const chain.cpp:4:84 inlined C++",
                "int space::Box::outer<int>(int*) const chain.cpp:8:15 C++",
            ])
        // GCC gives local functions no linkage name: it is taken from the symbol table.
        let hidden = try fixture.firstFrames { $0.last?.symbol.contains("hidden") == true }
        #expect(hidden.last?.symbol == "space::hidden(int*)")
    }

    @Test func showsWhySwiftCodeTrapped() async throws {
        let frames = try await Fixtures.swift.value.firstFrames { $0.first?.symbol == "Swift runtime failure: Index out of range" }
        #expect(frames.first.map { [$0.inlined, $0.isPseudo, $0.file == nil, $0.line == nil] } == [true, true, true, true])
        #expect(
            frames.map(\.summary).suffix(3) == [
                "Node.pick(_:) chain.swift:3:62 inlined Swift",
                "inlineA(_:_:) chain.swift:5:74 inlined Swift",
                "outer(_:_:) chain.swift:7:5 Swift",
            ])
        #expect(frames.dropFirst().allSatisfy { !$0.isPseudo })
        #expect(frames.last?.rawSymbol == "$s7fixture5outerySiAA4NodeV_SitF")
    }

    @Test func findsFunctionsNestedInSwiftTypes() async throws {
        let frames = try await Fixtures.swift.value.firstFrames { $0.last?.symbol.contains("Space.Deep.trap") == true && $0.first?.isPseudo == true }
        #expect(frames.first?.symbol == "Swift runtime failure: arithmetic overflow")
        #expect(frames.last?.summary == "specialized Space.Deep.trap(_:) chain.swift:11:63 Swift")
    }

    @Test(.enabled(if: Tool.exists("rustc"))) func showsRustChainsWithoutHashes() async throws {
        let frames = try await Fixtures.rust.value.firstFrames { frames in
            frames.first?.symbol.hasSuffix("space::inner") == true
        }
        #expect(
            frames.map(\.summary) == [
                "chain::space::inner chain.rs:4:9 inlined Rust",
                "chain::space::outer chain.rs:8:9 Rust",
            ])
    }

    @Test func looksAReturnAddressUpBeforeItself() async throws {
        let fixture = try await Fixtures.clang.value
        let symbolizer = Symbolizer(options: .testing)
        func name(_ address: UInt64, isReturnAddress: Bool) -> String? {
            symbolizer.symbolize(address: Fixture.bias + address, isReturnAddress: isReturnAddress, in: fixture.module).last?.symbol
        }
        let start = try #require(Fixture.code(fixture.url.path).first { name($0, isReturnAddress: false) == "outer" })
        #expect(name(start, isReturnAddress: false) == "outer")
        #expect(name(start, isReturnAddress: true) != "outer")
        #expect(name(start + 1, isReturnAddress: true) == "outer")
    }

    @Test func answersNothingOutsideOfTheModule() async throws {
        let module = try await Fixtures.clang.value.module
        let symbolizer = Symbolizer(options: .testing)
        for address in [0, 1, module.start - 1, module.end, module.end + 1, .max] {
            #expect(symbolizer.symbolize(address: address, isReturnAddress: false, in: module) == [])
            #expect(symbolizer.symbolize(address: address, isReturnAddress: true, in: module) == [] || address == module.end)
        }
        #expect(symbolizer.problems == [])
    }
}
