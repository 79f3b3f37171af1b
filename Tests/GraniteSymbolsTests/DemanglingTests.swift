// Readable names in four languages, and hostile ones.

import GraniteSymbols
import Testing

@Suite struct DemanglingTests {
    @Test(
        arguments: [
            ("main", "main", nil),
            ("_PyEval_EvalFrameDefault.cold", "_PyEval_EvalFrameDefault.cold", nil),
            ("", "", nil),
            ("$s7crasher4NodeC3oobyS2iF", "Node.oob(_:)", "Swift"),
            ("$s7crasher6level3yySSFyyYacfU0_TATQ0_", "partial apply for closure #2 in level3(_:)", "Swift"),
            (
                "_ZN5swift34runJobInEstablishedExecutorContextEPNS_3JobE",
                "swift::runJobInEstablishedExecutorContext(swift::Job*)", "C++"
            ),
            ("_ZNSt6vectorIiSaIiEE9push_backEOi", "std::vector<int, std::allocator<int> >::push_back(int&&)", "C++"),
            (
                "_ZN3std9panicking20rust_panic_with_hook17ha9131beeb2ddc506E", "std::panicking::rust_panic_with_hook",
                "Rust"
            ),
            (
                "_ZN4core3ops8function6FnOnce40call_once$u7b$$u7b$vtable.shim$u7d$$u7d$17h5d34fbc94c0a0337E",
                "core::ops::function::FnOnce::call_once{{vtable.shim}}", "Rust"
            ),
            (
                "_ZN103_$LT$pyo3..instance..Bound$LT$pyo3..types..any..PyAny$GT$$u20$as$u20$pyo3..types..any..PyAnyMethods$GT$4call5inner17h9e3b9367905cc99fE.llvm.42",
                "<pyo3::instance::Bound<pyo3::types::any::PyAny> as pyo3::types::any::PyAnyMethods>::call::inner",
                "Rust"
            ),
            ("_RNvCskwGfYPst2Cb_3foo16example_function", "foo::example_function", "Rust"),
            ("_Z", "_Z", "C++"),
            ("_R", "_R", nil),
            ("$s", "$s", "Swift"),
            ("_ZN17h0123456789abcdefE", "_ZN17h0123456789abcdefE", "Rust"),
        ] as [(String, String, String?)])
    func showsReadableNames(_ raw: String, _ name: String, _ language: String?) {
        let result = demangled(raw)
        #expect(result.name == name)
        #expect(result.language == language)
    }

    @Test func cutsNamesOfAnyLengthAt4KiB() {
        for prefix in ["x", "_ZN", "$s", "_RNv"] {
            #expect(demangled(prefix + String(repeating: "1a", count: 1 << 20)).name.utf8.count == 4096)
        }
    }

    /// Each parameter doubles the one before: thirty would be 10^9 characters.
    @Test func stopsAtNamesThatExpandWithoutEnd() {
        let bomb = "_Z1f" + Self.doubling(levels: 30)
        #expect(demangled(bomb).name.utf8.count == 4095)
        #expect(demangled(bomb).name.hasPrefix("f(B<A, A>, B<B<A, A>, B<A, A> >, B<"))
        #expect(demangled("_Z1f" + Self.doubling(levels: 2)).name == "f(B<A, A>, B<B<A, A>, B<A, A> >)")
    }

    /// Parameters of type `B<previous, previous>`.
    private static func doubling(levels: Int) -> String {
        // Substitutions in order: S_ is A or B; a candidate is added for each template name and each type.
        let digits = Array("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ")
        func reference(_ index: Int) -> String {
            guard index > 0 else { return "S_" }
            let number = index - 1
            return number < 36 ? "S\(digits[number])_" : "S\(digits[number / 36])\(digits[number % 36])_"
        }
        // First parameter: B<A, A>: candidates 0 = B, 1 = A, 2 = B<A, A>.
        var text = "1BI1AS0_E"
        for level in 1..<levels { text += "S_I\(reference(level + 1))\(reference(level + 1))E" }
        return text
    }

    @Test func survivesDeepNesting() {
        for raw in [
            "_Z" + String(repeating: "P", count: 4000), "_ZN" + String(repeating: "1aI", count: 1300),
            "$s" + String(repeating: "ySaySay", count: 500),
        ] {
            #expect(demangled(raw).name.utf8.count <= 4096)
        }
    }

    @Test(arguments: [
        ("St13runtime_error", "std::runtime_error"), ("i", "int"), ("PKc", "char const*"),
        ("N3app6FailedE", "app::Failed"), ("", ""), ("!", "!"),
        ("St17_Nested_exceptionISt11logic_errorE", "std::_Nested_exception<std::logic_error>"),
        ("N3app6Fail", "N3app6Fail"),
    ]) func showsTheNamesOfTypes(_ raw: String, _ name: String) {
        #expect(demangledType(raw) == name)
    }
}
