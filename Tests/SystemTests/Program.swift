// SPDX-License-Identifier: Apache-2.0

import Foundation
import Glibc
import Testing

/// The executable `martlet` as a person runs it: a real process whose output goes to files.
final class Program {
    let process = Process()
    private let folder: String
    private let output: String
    private let errors: String

    /// Where the executables stand: beside the program that runs the tests.
    static let binaries: String = {
        let own = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? ""
        return (own as NSString).deletingLastPathComponent
    }()

    init(
        _ arguments: [String], environment: [String: String] = [:], executable: String = "martlet"
    ) throws {
        folder = try temporaryFolder()
        output = folder + "/output"
        errors = folder + "/errors"
        process.executableURL = URL(fileURLWithPath: "\(Self.binaries)/\(executable)")
        process.arguments = arguments
        var variables = ProcessInfo.processInfo.environment.filter { !$0.key.hasPrefix("MARTLET_") }
        variables.merge(environment) { $1 }
        process.environment = variables
        process.currentDirectoryURL = URL(fileURLWithPath: folder)
        process.standardInput = FileHandle.nullDevice
        for (path, isError) in [(output, false), (errors, true)] {
            try #require(FileManager.default.createFile(atPath: path, contents: nil))
            let handle = try FileHandle(forWritingTo: URL(fileURLWithPath: path))
            if isError { process.standardError = handle } else { process.standardOutput = handle }
        }
        try process.run()
    }

    /// Whoever is left when a test gives up.
    deinit {
        if process.isRunning { kill(process.processIdentifier, SIGKILL) }
        try? FileManager.default.removeItem(atPath: folder)
    }

    var printed: String { text(output) }
    var complaints: String { text(errors) }

    private func text(_ path: String) -> String {
        (try? String(contentsOfFile: path, encoding: .utf8)) ?? ""
    }

    func send(_ signal: Int32) { kill(process.processIdentifier, signal) }

    /// The exit status, or 128 and the signal's number.
    func end(within limit: Duration = .seconds(40)) async throws -> Int32 {
        try await eventually("the end of martlet \(process.arguments ?? [])", within: limit) {
            process.isRunning ? nil : true
        }
        return process.terminationReason == .exit ? process.terminationStatus : 128 + process.terminationStatus
    }

    /// Runs a command that ends by itself.
    static func run(
        _ arguments: [String], environment: [String: String] = [:], executable: String = "martlet"
    ) async throws -> (status: Int32, printed: String, complaints: String) {
        let program = try Program(arguments, environment: environment, executable: executable)
        let status = try await program.end()
        return (status, program.printed, program.complaints)
    }
}

func temporaryFolder() throws -> String {
    var template = Array("/tmp/martlet-system-XXXXXX".utf8CString)
    return try #require(mkdtemp(&template).map { String(cString: $0) })
}

/// Asks for a fact until it is there; says what was missing when it never comes.
@discardableResult
func eventually<Fact>(
    _ what: @autoclosure () -> String, within limit: Duration = .seconds(30), _ fact: () throws -> Fact?
) async throws -> Fact {
    let deadline = ContinuousClock.now + limit
    while true {
        if let found = try fact() { return found }
        guard ContinuousClock.now < deadline else {
            throw Missing(description: "\(what()) did not come within \(limit)")
        }
        try await Task.sleep(for: .milliseconds(20))
    }
}

struct Missing: Error, CustomStringConvertible { let description: String }
