// swift-tools-version: 6.2
// Granite: a WSGI server whose workers may crash and still tell exactly why.
// The floors of the house: a target imports only targets of the floors below its own.

import PackageDescription

/// Every Swift target is held to the same rules.
let swift: [SwiftSetting] = [
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .treatAllWarnings(as: .error),
]

/// C runs where Swift may not: in a signal handler. Frame pointers keep stacks readable when CFI is missing.
let c: [CSetting] = [
    .unsafeFlags(["-std=gnu11", "-Wall", "-Wextra", "-Werror", "-fno-omit-frame-pointer", "-fno-strict-aliasing"])
]

/// Exclusivity is checked in debug builds, which the tests run in; in release the checks alone cost the hot path a few percent.
let unchecked = SwiftSetting.unsafeFlags(["-enforce-exclusivity=unchecked"], .when(configuration: .release))

let logging = Target.Dependency.product(name: "Logging", package: "swift-log")
let lifecycle = Target.Dependency.product(name: "ServiceLifecycle", package: "swift-service-lifecycle")
let unixSignals = Target.Dependency.product(name: "UnixSignals", package: "swift-service-lifecycle")
let argumentParser = Target.Dependency.product(name: "ArgumentParser", package: "swift-argument-parser")
let nioHTTP1 = Target.Dependency.product(name: "NIOHTTP1", package: "swift-nio")
let nioCore = Target.Dependency.product(name: "NIOCore", package: "swift-nio")
let nioEmbedded = Target.Dependency.product(name: "NIOEmbedded", package: "swift-nio")

let floor0: [Target] = [
    // -fno-plt: no lazy binding, whose resolver must not run in a handler.
    .target(name: "CGraniteCapture", cSettings: c + [.unsafeFlags(["-fno-plt"])]),
    .target(name: "CLinux", cSettings: c),
    .target(name: "CPython", cSettings: c),
    .target(name: "CDemangle", cSettings: c, linkerSettings: [.linkedLibrary("iberty")]),
    // What Python tells of objects and exceptions. No Swift and no libpython: the interpreter's functions are looked up where it runs.
    .target(name: "CGraniteHooks", dependencies: ["CGraniteCapture"], cSettings: c),
    // The library that `granite-crash run` preloads: C alone, nothing of the Swift runtime is in it.
    .target(name: "CGranitePreload", dependencies: ["CGraniteCapture", "CGraniteHooks"], cSettings: c),
    .systemLibrary(name: "CElfutils", pkgConfig: "libdw", providers: [.apt(["libdw-dev"])]),
]

let floor1: [Target] = [
    .target(name: "GraniteReport", exclude: ["granite.crash.1.schema.json"], swiftSettings: swift),
    .target(name: "GraniteExchange", swiftSettings: swift),
    .target(name: "GraniteLogging", dependencies: [logging], swiftSettings: swift),
]

let floor2: [Target] = [
    .target(
        name: "GraniteCrashChannel", dependencies: ["CGraniteCapture", "CLinux", "GraniteReport"], swiftSettings: swift),
    .target(name: "GraniteLinux", dependencies: ["GraniteReport"], swiftSettings: swift),
    .target(name: "GraniteHTTP", dependencies: ["CLinux", "GraniteExchange"], swiftSettings: swift + [unchecked]),
    .target(name: "GraniteWSGI", dependencies: ["CPython", "CGraniteHooks", "GraniteExchange"], swiftSettings: swift),
    .target(name: "GraniteCapture", dependencies: ["CGraniteCapture"], swiftSettings: swift),
    .target(name: "GraniteSymbols", dependencies: ["CElfutils", "CDemangle"], swiftSettings: swift),
    .target(name: "GraniteStore", dependencies: ["GraniteReport"], swiftSettings: swift),
    .target(name: "GraniteExport", dependencies: ["GraniteReport"], swiftSettings: swift),
]

let floor3: [Target] = [
    .target(
        name: "GraniteSupervisor",
        dependencies: [
            "CLinux", "GraniteReport", "GraniteCrashChannel", "GraniteLinux", "GraniteLogging", logging, lifecycle,
            unixSignals,
        ],
        swiftSettings: swift),
    .target(
        name: "GraniteCollector",
        dependencies: [
            "CLinux", "CElfutils", "CGraniteCapture", "GraniteReport", "GraniteCrashChannel", "GraniteSymbols",
            "GraniteStore",
        ],
        exclude: ["Python/generate-layouts"],
        swiftSettings: swift),
    .target(
        name: "GraniteGuardian",
        dependencies: [
            "CLinux", "CGraniteCapture", "GraniteReport", "GraniteCrashChannel", "GraniteLinux", "GraniteLogging",
            logging,
        ],
        swiftSettings: swift),
]

/// What extensions that a worker loads call of granite_bind.h: a linker exports from an executable only what it is told to.
let bindable: [LinkerSetting] = [
    .unsafeFlags(
        ["bind", "check", "drop", "annotate", "report"].flatMap {
            // Undefined at first, so that no linker leaves it out as unused.
            [
                "-Xlinker", "--undefined=granite_bound_\($0)", "-Xlinker",
                "--export-dynamic-symbol=granite_bound_\($0)",
            ]
        })
]

let floor4: [Target] = [
    .executableTarget(
        name: "granite",
        dependencies: [
            "CLinux", "CGraniteHooks", "GraniteCapture", "GraniteCrashChannel", "GraniteExchange", "GraniteHTTP",
            "GraniteWSGI", "GraniteStore", "GraniteSupervisor", "GraniteLogging", "GraniteReport", logging, lifecycle,
            argumentParser,
        ],
        swiftSettings: swift, linkerSettings: bindable),
    .executableTarget(
        name: "granite-crash",
        dependencies: [
            "GraniteCollector", "GraniteGuardian", "GraniteStore", "GraniteExport", "GraniteReport",
            "GraniteCrashChannel", "GraniteLinux", "GraniteLogging", "GraniteSymbols", logging, argumentParser,
        ],
        swiftSettings: swift),
]

let tests: [Target] = [
    .target(
        name: "TestSupport", dependencies: ["CLinux", "GraniteReport"], path: "Tests/TestSupport", swiftSettings: swift),
    .target(name: "CCrashProbe", path: "Tests/CCrashProbe"),
    .executableTarget(
        name: "CrashProbe", dependencies: ["GraniteCapture", "CGraniteCapture", "CCrashProbe"],
        path: "Tests/CrashProbe", exclude: ["matrix.json"], swiftSettings: swift),
    .executableTarget(
        name: "ThreadBoundBenchmark", dependencies: ["GraniteCapture", "CGraniteCapture"],
        path: "Tests/Benchmarks/ThreadBoundBenchmark", swiftSettings: swift),
    // Small, because Tests/tsan builds it under the Thread Sanitizer.
    .executableTarget(
        name: "ThreadBoundRace", dependencies: ["GraniteCapture"], path: "Tests/ThreadBoundRace", swiftSettings: swift),
    .executableTarget(
        name: "SymbolBenchmark", dependencies: ["GraniteSymbols"], path: "Tests/Benchmarks/SymbolBenchmark",
        swiftSettings: swift),
    .executableTarget(
        name: "CrashStress",
        dependencies: ["GraniteCrashChannel", "GraniteReport", "CLinux", "TestSupport", argumentParser],
        path: "Tests/Benchmarks/CrashStress", swiftSettings: swift),
    .executableTarget(name: "Confine", path: "Tests/Confine", cSettings: c),
    .executableTarget(
        name: "FakeWorker",
        dependencies: ["GraniteSupervisor", "GraniteCrashChannel", "GraniteReport", "CGraniteCapture", "CLinux"],
        path: "Tests/FakeWorker",
        swiftSettings: swift),
    .testTarget(name: "GraniteReportTests", dependencies: ["GraniteReport", "TestSupport"], swiftSettings: swift),
    .testTarget(
        name: "GraniteCrashChannelTests",
        dependencies: ["GraniteCrashChannel", "CGraniteCapture", "CLinux", "GraniteReport"], swiftSettings: swift),
    .testTarget(
        name: "GraniteHTTPTests",
        dependencies: ["GraniteHTTP", "GraniteExchange", "CLinux", "TestSupport", nioHTTP1, nioCore, nioEmbedded],
        swiftSettings: swift),
    .executableTarget(
        name: "HTTPBenchmark", dependencies: ["GraniteHTTP", "GraniteExchange", "CLinux"],
        path: "Tests/Benchmarks/HTTPBenchmark",
        swiftSettings: swift),
    .executableTarget(
        name: "WSGIProbe", dependencies: ["GraniteWSGI", "GraniteExchange"], path: "Tests/WSGIProbe",
        swiftSettings: swift),
    .testTarget(
        name: "GraniteWSGITests", dependencies: ["GraniteWSGI", "GraniteExchange", "TestSupport", "WSGIProbe"],
        exclude: ["Fixtures"], swiftSettings: swift),
    .testTarget(
        name: "GraniteHooksTests",
        dependencies: ["GraniteCrashChannel", "TestSupport"], exclude: ["Fixtures"],
        swiftSettings: swift),
    .testTarget(
        name: "GraniteCaptureTests",
        dependencies: [
            "GraniteCapture", "CGraniteCapture", "CLinux", "GraniteCrashChannel", "GraniteReport", "TestSupport",
            "CrashProbe",
        ], exclude: ["Fixtures"], swiftSettings: swift),
    .testTarget(
        name: "GranitePreloadTests",
        dependencies: [
            "CGraniteCapture", "CLinux", "GraniteCrashChannel", "GraniteReport", "TestSupport", "CrashProbe",
        ],
        swiftSettings: swift),
    .testTarget(
        name: "GraniteSymbolsTests", dependencies: ["GraniteSymbols", "TestSupport", "CrashProbe"], swiftSettings: swift
    ),
    .testTarget(
        name: "GraniteStoreTests", dependencies: ["GraniteStore", "GraniteReport", "TestSupport"], swiftSettings: swift),
    .testTarget(
        name: "GraniteExportTests", dependencies: ["GraniteExport", "GraniteReport", "TestSupport"],
        swiftSettings: swift),
    .testTarget(
        name: "GraniteSupervisorTests",
        dependencies: [
            "GraniteSupervisor", "GraniteCrashChannel", "GraniteLinux", "GraniteLogging", "GraniteReport",
            "TestSupport", "FakeWorker", logging,
        ], swiftSettings: swift),
    .testTarget(
        name: "GraniteLoggingTests", dependencies: ["GraniteLogging", "TestSupport", logging], swiftSettings: swift),
    .testTarget(
        name: "GraniteCollectorTests",
        dependencies: [
            "GraniteCollector", "GraniteCrashChannel", "GraniteReport", "GraniteStore", "GraniteSymbols",
            "CGraniteCapture", "CLinux", "TestSupport", "CrashProbe",
        ], exclude: ["PythonFixtures", "Fixtures"], swiftSettings: swift),
    .testTarget(
        name: "GraniteGuardianTests",
        dependencies: [
            "GraniteGuardian", "GraniteCrashChannel", "GraniteLinux", "GraniteReport", "CGraniteCapture", "CLinux",
            "TestSupport",
        ], exclude: ["Fixtures"], swiftSettings: swift),
    .testTarget(
        name: "EndToEndTests",
        dependencies: [
            "GraniteCrashChannel", "GraniteLogging", "GraniteReport", "GraniteStore", "GraniteSymbols", "TestSupport",
            "granite", "granite-crash", "CrashProbe", "Confine", argumentParser,
        ],
        exclude: ["Fixtures"], swiftSettings: swift),
]

let package = Package(
    name: "granite",
    products: [
        .executable(name: "granite", targets: ["granite"]),
        .executable(name: "granite-crash", targets: ["granite-crash"]),
        .library(name: "granite-preload", type: .dynamic, targets: ["CGranitePreload"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.0"),
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.0"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
    ],
    targets: floor0 + floor1 + floor2 + floor3 + floor4 + tests,
    swiftLanguageModes: [.v6]
)
