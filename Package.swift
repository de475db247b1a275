// swift-tools-version: 6.2
// SPDX-License-Identifier: Apache-2.0
import PackageDescription

/// The planted bugs that `make mutants` builds with; none otherwise.
let mutant = (Context.environment["MARTLET_MUTANT"] ?? "").split(separator: " ").map { SwiftSetting.define(String($0)) }

/// Settings of every target of ours. Warnings are errors here and stay warnings in dependencies.
let settings: [SwiftSetting] =
    [
        .enableUpcomingFeature("ExistentialAny"),
        .enableUpcomingFeature("InternalImportsByDefault"),
        .enableUpcomingFeature("MemberImportVisibility"),
        .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
        .treatAllWarnings(as: .error),
    ] + mutant
/// Modules that touch C also say where they leave memory safety.
let settingsWithC: [SwiftSetting] = settings + [.strictMemorySafety()]

// External products, named once.
let crypto = Target.Dependency.product(name: "Crypto", package: "swift-crypto")
let logging = Target.Dependency.product(name: "Logging", package: "swift-log")
let nioCore = Target.Dependency.product(name: "NIOCore", package: "swift-nio")
let nioHTTP1 = Target.Dependency.product(name: "NIOHTTP1", package: "swift-nio")
let nioWebSocket = Target.Dependency.product(name: "NIOWebSocket", package: "swift-nio")
let nioPosix = Target.Dependency.product(name: "NIOPosix", package: "swift-nio")
let protobuf = Target.Dependency.product(name: "SwiftProtobuf", package: "swift-protobuf")
let serviceLifecycle = Target.Dependency.product(name: "ServiceLifecycle", package: "swift-service-lifecycle")
let unixSignals = Target.Dependency.product(name: "UnixSignals", package: "swift-service-lifecycle")

/// One service: its library, and the thin executable that runs it on its own.
func service(
    _ name: String, executable: String, _ dependencies: [Target.Dependency], settings: [SwiftSetting] = settings
) -> [Target] {
    [
        .target(
            name: "Martlet\(name)",
            dependencies: [
                "MartletServiceKit", "MartletBus", "MartletTracing", "MartletWire", logging, serviceLifecycle,
            ] + dependencies,
            path: "Services/\(name)", exclude: ["Executable"], swiftSettings: settings),
        .executableTarget(
            name: executable, dependencies: [.target(name: "Martlet\(name)"), "MartletServiceKit"],
            path: "Services/\(name)/Executable", swiftSettings: settings),
    ]
}

func tests(_ name: String, _ dependencies: [Target.Dependency], exclude: [String] = []) -> Target {
    .testTarget(
        name: "\(name)Tests", dependencies: dependencies, path: "Tests/\(name)Tests", exclude: exclude,
        swiftSettings: settings)
}

/// Only for `Tests/Benchmarks/run`, so that nobody else builds them.
let benchmarks: [Target] =
    Context.environment["MARTLET_BENCHMARKS"] == nil
    ? []
    : [
        .executableTarget(
            name: "bus-bench", dependencies: ["MartletBus", "MartletWire", nioCore], path: "Tests/Benchmarks/Bus",
            swiftSettings: settings)
    ]

let package = Package(
    name: "martlet",
    dependencies: [
        .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
        .package(url: "https://github.com/apple/swift-protobuf", from: "1.39.0"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
    ],
    targets: [
        // System libraries: a module map and a shim, nothing else.
        .systemLibrary(name: "CZeroMQ", path: "Shared/CZeroMQ", providers: [.apt(["libzmq3-dev"])]),
        .systemLibrary(name: "CSQLite", path: "Shared/CSQLite", providers: [.apt(["libsqlite3-dev"])]),
        .systemLibrary(
            name: "CPostgreSQL", path: "Shared/CPostgreSQL", pkgConfig: "libpq", providers: [.apt(["libpq-dev"])]),
        .systemLibrary(name: "CPgQuery", path: "Shared/CPgQuery", providers: [.apt(["libpg-query-dev"])]),
        .systemLibrary(
            name: "CArgon2", path: "Shared/CArgon2", pkgConfig: "libargon2", providers: [.apt(["libargon2-dev"])]),
        .systemLibrary(
            name: "CCurl", path: "Shared/CCurl", pkgConfig: "libcurl", providers: [.apt(["libcurl4-openssl-dev"])]),
        // The same library, opened when it is needed; so without a flag for the linker.
        .systemLibrary(
            name: "CCurlLate", path: "Shared/CCurlLate", providers: [.apt(["libcurl4-openssl-dev"])]),
        .systemLibrary(name: "CCrypt", path: "Shared/CCrypt"),
        .systemLibrary(name: "CMalloc", path: "Shared/CMalloc"),
        .systemLibrary(name: "CProcess", path: "Shared/CProcess"),

        .target(name: "MartletJSON", path: "Shared/JSON", swiftSettings: settings),
        .target(
            name: "MartletWire", dependencies: [nioCore, protobuf], path: "Shared/Wire", exclude: ["Protos"],
            swiftSettings: settings),
        .target(
            name: "MartletBus", dependencies: ["CZeroMQ", "MartletWire", nioCore], path: "Shared/Bus",
            swiftSettings: settingsWithC),
        .target(
            name: "MartletDatabase", dependencies: ["CSQLite", "CPostgreSQL"], path: "Shared/Database",
            swiftSettings: settingsWithC),
        .target(
            name: "MartletSQL", dependencies: ["CPgQuery", "MartletDatabase", "MartletJSON"],
            path: "Shared/SQLTranslation", swiftSettings: settingsWithC),
        .target(
            name: "MartletTracing", dependencies: ["CCurlLate", "MartletJSON", "MartletWire"], path: "Shared/Tracing",
            swiftSettings: settingsWithC),
        .target(name: "MartletSMTP", dependencies: ["CCurl"], path: "Shared/SMTP", swiftSettings: settingsWithC),
        .target(
            name: "MartletAccessTokens", dependencies: ["MartletJSON", crypto], path: "Shared/AccessTokens",
            swiftSettings: settings),
        .target(
            name: "MartletServiceKit",
            dependencies: [
                "CMalloc", "CProcess", "MartletBus", "MartletJSON", "MartletTracing", "MartletWire", logging, nioCore,
                nioHTTP1, nioPosix, serviceLifecycle, unixSignals,
            ], path: "Shared/ServiceKit", swiftSettings: settings),

        // For tests alone.
        .target(
            name: "MartletTestKit", dependencies: ["MartletDatabase"], path: "Shared/TestKit", swiftSettings: settings),

        // The command line: the five services in one process or in five, keys, status.
        .target(
            name: "MartletCommand",
            dependencies: [
                "CProcess", "MartletAccessTokens", "MartletAuth", "MartletBus", "MartletData", "MartletDatabase",
                "MartletEdge", "MartletJSON", "MartletLogic", "MartletNotification", "MartletServiceKit", "MartletWire",
                logging,
            ], path: "Services/Martlet", exclude: ["Executable"], swiftSettings: settings),
        .executableTarget(
            name: "martlet", dependencies: ["MartletCommand"], path: "Services/Martlet/Executable",
            swiftSettings: settings),

        tests("AccessTokens", ["MartletAccessTokens", "MartletJSON", crypto]),
        tests("Architecture", []),
        tests(
            "Auth",
            [
                "MartletAccessTokens", "MartletAuth", "MartletBus", "MartletDatabase", "MartletJSON",
                "MartletServiceKit", "MartletTestKit", "MartletWire", nioCore,
            ]),
        tests("Bus", ["CZeroMQ", "MartletBus", "MartletWire", nioCore]),
        tests(
            "Data",
            [
                "MartletBus", "MartletData", "MartletDatabase", "MartletJSON", "MartletSQL", "MartletServiceKit",
                "MartletWire", nioCore,
            ]),
        tests("Database", ["MartletDatabase"]),
        tests(
            "Edge",
            [
                "MartletAccessTokens", "MartletBus", "MartletEdge", "MartletJSON", "MartletServiceKit", "MartletWire",
                logging, nioCore, nioHTTP1, nioPosix, nioWebSocket,
            ]),
        tests("JSON", ["MartletJSON"]),
        tests(
            "Logic",
            [
                "MartletAccessTokens", "MartletBus", "MartletDatabase", "MartletJSON", "MartletLogic",
                "MartletServiceKit", "MartletTestKit", "MartletWire", logging, nioCore, nioHTTP1, nioPosix,
            ]),
        tests(
            "Notification",
            [
                "MartletAccessTokens", "MartletBus", "MartletDatabase", "MartletJSON", "MartletNotification",
                "MartletSMTP", "MartletServiceKit", "MartletTestKit", "MartletWire", logging, nioCore,
            ]),
        tests(
            "ServiceKit",
            [
                "MartletBus", "MartletJSON", "MartletServiceKit", "MartletTracing", "MartletWire", logging, nioCore,
                serviceLifecycle,
            ]),
        tests("SQL", ["MartletDatabase", "MartletJSON", "MartletSQL"]),
        tests("Tracing", ["MartletJSON", "MartletTracing", "MartletWire"]),
        // Runs the executables, so they have to be there.
        tests(
            "System",
            [
                "martlet", "martlet-auth", "martlet-data", "martlet-edge", "martlet-logic", "martlet-notification",
                "MartletCommand", "MartletDatabase", "MartletJSON", "MartletServiceKit", "MartletWire",
            ]),
        tests("Wire", ["MartletWire", nioCore, protobuf], exclude: ["Golden"]),
    ]
        + service(
            "Edge", executable: "martlet-edge",
            ["MartletAccessTokens", "MartletJSON", nioCore, nioHTTP1, nioPosix, nioWebSocket])
        + service(
            "Auth", executable: "martlet-auth",
            ["CArgon2", "CCrypt", "MartletAccessTokens", "MartletDatabase", "MartletJSON", crypto, nioCore],
            settings: settingsWithC)
        + service(
            "Data", executable: "martlet-data", ["MartletDatabase", "MartletJSON", "MartletSQL", nioCore])
        + service(
            "Logic", executable: "martlet-logic",
            [
                "CProcess", "MartletAccessTokens", "MartletDatabase", "MartletJSON", crypto, nioCore, nioHTTP1,
                nioPosix,
            ])
        + service(
            "Notification", executable: "martlet-notification",
            ["MartletAccessTokens", "MartletDatabase", "MartletJSON", "MartletSMTP", nioCore])
        + benchmarks,
    swiftLanguageModes: [.v6]
)
