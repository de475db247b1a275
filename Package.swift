// swift-tools-version: 6.2
// SPDX-License-Identifier: Apache-2.0
import PackageDescription

/// Settings of every target of ours. Warnings are errors here and stay warnings in dependencies.
let settings: [SwiftSetting] = [
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
    .treatAllWarnings(as: .error),
]
/// Modules that touch C also say where they leave memory safety.
let settingsWithC: [SwiftSetting] = settings + [.strictMemorySafety()]

// External products, named once.
let argumentParser = Target.Dependency.product(name: "ArgumentParser", package: "swift-argument-parser")
let configuration = Target.Dependency.product(name: "Configuration", package: "swift-configuration")
let crypto = Target.Dependency.product(name: "Crypto", package: "swift-crypto")
let httpTypes = Target.Dependency.product(name: "HTTPTypes", package: "swift-http-types")
let hummingbirdCore = Target.Dependency.product(name: "HummingbirdCore", package: "hummingbird")
let logging = Target.Dependency.product(name: "Logging", package: "swift-log")
let metrics = Target.Dependency.product(name: "Metrics", package: "swift-metrics")
let metricsCore = Target.Dependency.product(name: "CoreMetrics", package: "swift-metrics")
let nioCore = Target.Dependency.product(name: "NIOCore", package: "swift-nio")
let nioPosix = Target.Dependency.product(name: "NIOPosix", package: "swift-nio")
let protobuf = Target.Dependency.product(name: "SwiftProtobuf", package: "swift-protobuf")
let serviceLifecycle = Target.Dependency.product(name: "ServiceLifecycle", package: "swift-service-lifecycle")
let tomlKit = Target.Dependency.product(name: "TOMLKit", package: "TOMLKit")
let unixSignals = Target.Dependency.product(name: "UnixSignals", package: "swift-service-lifecycle")

/// One service: its library, and the thin executable that runs it on its own.
func service(_ name: String, executable: String, dependencies: [Target.Dependency]) -> [Target] {
    [
        .target(
            name: "Martlet\(name)",
            dependencies: ["MartletServiceKit", "MartletBus", "MartletWire", logging, serviceLifecycle] + dependencies,
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

let package = Package(
    name: "martlet",
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-configuration", from: "1.4.0"),
        .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
        .package(url: "https://github.com/apple/swift-http-types", from: "1.8.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/apple/swift-metrics", from: "2.13.0"),
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
        .package(url: "https://github.com/apple/swift-protobuf", from: "1.39.0"),
        .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.1"),
        .package(url: "https://github.com/LebJe/TOMLKit", from: "0.6.0"),
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
            name: "MartletSQL", dependencies: ["CPgQuery", "MartletJSON", "MartletDatabase"],
            path: "Shared/SQLTranslation", swiftSettings: settingsWithC),
        .target(
            name: "MartletAccessTokens", dependencies: ["MartletJSON", crypto], path: "Shared/AccessTokens",
            swiftSettings: settings),
        .target(
            name: "MartletServiceKit",
            dependencies: [
                "MartletAccessTokens", "MartletBus", "MartletJSON", "MartletWire", configuration, httpTypes,
                hummingbirdCore, logging, metrics, metricsCore, nioCore, nioPosix, serviceLifecycle, tomlKit,
                unixSignals,
            ], path: "Shared/ServiceKit", swiftSettings: settings),
    ]
        + service(
            "Edge", executable: "martlet-edge",
            dependencies: ["MartletAccessTokens", "MartletJSON", httpTypes, hummingbirdCore, nioCore, nioPosix])
        + service(
            "Auth", executable: "martlet-auth",
            dependencies: ["CArgon2", "MartletAccessTokens", "MartletDatabase", "MartletJSON", crypto, nioCore])
        + service(
            "Data", executable: "martlet-data",
            dependencies: ["MartletAccessTokens", "MartletDatabase", "MartletJSON", "MartletSQL", nioCore])
        + service("Logic", executable: "martlet-logic", dependencies: [])
        + service("Notification", executable: "martlet-notification", dependencies: [])
        + [
            .executableTarget(
                name: "martlet",
                dependencies: [
                    "MartletAccessTokens", "MartletAuth", "MartletBus", "MartletData", "MartletEdge", "MartletJSON",
                    "MartletLogic", "MartletNotification", "MartletServiceKit", argumentParser, logging,
                    serviceLifecycle, unixSignals,
                ], path: "Services/Martlet", swiftSettings: settings),
        ],
    swiftLanguageModes: [.v6]
)
