// swift-tools-version: 6.2
// SPDX-License-Identifier: Apache-2.0
import PackageDescription

/// The planted bug that `make mutants` builds with; none otherwise.
let mutant = Context.environment["MARTLET_MUTANT"].map { [SwiftSetting.define($0)] } ?? []

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
let nioCore = Target.Dependency.product(name: "NIOCore", package: "swift-nio")
let protobuf = Target.Dependency.product(name: "SwiftProtobuf", package: "swift-protobuf")

func tests(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
    .testTarget(
        name: "\(name)Tests", dependencies: dependencies, path: "Tests/\(name)Tests", swiftSettings: settings)
}

let package = Package(
    name: "martlet",
    dependencies: [
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
        .package(url: "https://github.com/apple/swift-protobuf", from: "1.39.0"),
    ],
    targets: [
        // System libraries: a module map and a shim, nothing else.
        .systemLibrary(name: "CZeroMQ", path: "Shared/CZeroMQ", providers: [.apt(["libzmq3-dev"])]),
        .systemLibrary(name: "CSQLite", path: "Shared/CSQLite", providers: [.apt(["libsqlite3-dev"])]),
        .systemLibrary(
            name: "CPostgreSQL", path: "Shared/CPostgreSQL", pkgConfig: "libpq", providers: [.apt(["libpq-dev"])]),

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

        tests("Architecture", []),
        tests("Bus", ["CZeroMQ", "MartletBus", "MartletWire", nioCore]),
        tests("Database", ["MartletDatabase"]),
        tests("JSON", ["MartletJSON"]),
        tests("Wire", ["MartletWire", nioCore, protobuf]),
    ],
    swiftLanguageModes: [.v6]
)
