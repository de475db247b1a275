// SPDX-License-Identifier: Apache-2.0

internal import Glibc
internal import MartletServiceKit

/// How the worker of a function is started. Reads files, so on the keeper's thread.
struct WorkerPlan: Sendable {
    struct Failure: Error { let reason: String }

    let project: ProjectFolder
    let environment: WorkerEnvironment
    /// Deno's program, if it is named; else it is looked for on `searchPath`.
    let deno: String?
    /// `PATH` of this process.
    let searchPath: String
    /// Where Deno keeps what it has fetched.
    let denoFolder: String
    /// What Deno needs to send spans of its own; empty when no traces are sent.
    var traces: [String: String] = [:]

    /// Address space of a `process` worker as a multiple of its memory, since runtimes reserve more than they use; the
    /// watch looks at what is used.
    private static let addressSpaceFactor: UInt64 = 8
    private static let addressSpaceMin: UInt64 = 4 << 30
    /// A shorter value of `functions/.env` is a word such as `debug`, not a secret.
    private static let secretBytesMin = 8

    /// What makes a new worker when it changes.
    func sources(of entry: FunctionEntry) -> [String] {
        var paths = [
            "\(project.functions)/\(entry.name)", "\(project.functions)/_shared", envFile,
            "\(project.functions)/deno.json", "\(project.functions)/deno.jsonc", "\(project.functions)/import_map.json",
        ]
        if case .deno(let entryPoint, let importMap) = entry.kind {
            if !entryPoint.hasPrefix(paths[0] + "/") { paths.append(Self.folder(of: entryPoint)) }
            if let importMap { paths.append(importMap) }
        }
        return paths
    }

    func command(for entry: FunctionEntry, socket: String) throws(Failure) -> ProcessCommand {
        var variables: [String: String] = ["LANG": "C.UTF-8"]
        var secrets = [environment.serviceRoleKey, environment.databaseURL].compactMap(\.self)
        // First, so that a project may want it otherwise.
        if case .deno = entry.kind {
            variables.merge(traces) { _, new in new }
            let headers = traces["OTEL_EXPORTER_OTLP_HEADERS"]?.split(separator: ",") ?? []
            secrets += headers.compactMap { $0.split(separator: "=", maxSplits: 1).last.map { String($0) } }
                .filter { $0.utf8.count >= Self.secretBytesMin }
        }
        if let text = try? PosixFile.read(envFile, bytesMax: 8 << 20) {
            let own = WorkerEnvironment.parse(text)
            secrets += own.values.filter { $0.utf8.count >= Self.secretBytesMin }
            variables.merge(own) { _, new in new }
        }
        variables.merge(entry.environment) { _, new in new }
        variables.merge(environment.platform) { _, new in new }
        variables["MARTLET_FUNCTION_NAME"] = entry.name
        variables["MARTLET_FUNCTION_SOCKET"] = socket
        variables["SB_EXECUTION_ID"] = Self.executionID()
        switch entry.kind {
        case .deno(let entryPoint, let importMap):
            return try denoCommand(entry, entryPoint, importMap, socket: socket, variables, secrets)
        case .process(let words):
            guard let word = words.first else { throw Failure(reason: "there is no command") }
            guard let program = program(word) else { throw Failure(reason: "there is no program \(word)") }
            variables["PATH"] = variables["PATH"] ?? searchPath
            variables["HOME"] = variables["HOME"] ?? project.path
            return ProcessCommand(
                program: program, arguments: Array(words.dropFirst()), environment: variables, folder: project.path,
                secrets: secrets,
                addressSpaceMax: max(
                    (UInt64(entry.memoryMebibytes) << 20) * Self.addressSpaceFactor, Self.addressSpaceMin))
        case .http: throw Failure(reason: "an upstream has no worker")
        }
    }

    private func denoCommand(
        _ entry: FunctionEntry, _ entryPoint: String, _ importMap: String?, socket: String,
        _ variables: [String: String], _ secrets: [String]
    ) throws(Failure) -> ProcessCommand {
        guard let program = program(deno ?? "deno") else {
            throw Failure(
                reason: "Deno is not there: install it, put it on PATH, or name it with MARTLET_LOGIC_DENO")
        }
        guard PosixFile.exists(entryPoint) else { throw Failure(reason: "there is no file \(entryPoint)") }
        let folder = Self.folder(of: entryPoint)
        var variables = variables
        variables["DENO_SERVE_ADDRESS"] = "unix:\(socket)"
        variables["DENO_DIR"] = denoFolder
        variables["DENO_NO_UPDATE_CHECK"] = "1"
        variables["NO_COLOR"] = "1"
        // The rest of its memory is for what is not in the heap.
        let heap = max(entry.memoryMebibytes - 64, entry.memoryMebibytes / 2)
        var arguments = [
            "run", "--quiet", "--no-prompt", "--no-lock", "--allow-net", "--allow-env",
            "--allow-read=\(folder),\(project.functions)/\(entry.name),\(project.functions)/_shared,\(socket)",
            "--allow-write=\(socket)", "--v8-flags=--max-old-space-size=\(heap)",
        ]
        // What Deno finds by itself is named only where something is added to it.
        let found = ["\(folder)/deno.json", "\(folder)/deno.jsonc"].first(where: PosixFile.exists)
        let common = "\(project.functions)/import_map.json"
        let named = importMap ?? (found == nil && PosixFile.exists(common) ? common : nil)
        let searched = [folder, "\(project.functions)/_shared"]
        if let map = OlderServe.importMap(for: searched, extending: named ?? found) ?? named {
            arguments.append("--import-map=\(map)")
        }
        return ProcessCommand(
            program: program, arguments: arguments + [entryPoint], environment: variables, folder: folder,
            secrets: secrets)
    }

    private var envFile: String { "\(project.functions)/.env" }

    /// A program by its path, from the project on if it has a slash, else as a shell would find it.
    private func program(_ word: String) -> String? {
        if word.contains("/") {
            let path = PosixFile.absolute(word, from: project.path)
            return access(path, X_OK) == 0 ? path : nil
        }
        for folder in searchPath.split(separator: ":") {
            let path = PosixFile.absolute("\(folder)/\(word)")
            if !PosixFile.isFolder(path), access(path, X_OK) == 0 { return path }
        }
        return nil
    }

    private static func folder(of path: String) -> String {
        path.lastIndex(of: "/").map { String(path[..<$0]) } ?? path
    }

    /// A random UUID.
    private static func executionID() -> String {
        var digits = (0..<32).map { _ in String(UInt8.random(in: 0..<16), radix: 16) }
        digits[12] = "4"
        digits[16] = String(UInt8.random(in: 8..<12), radix: 16)
        for place in [20, 16, 12, 8] { digits.insert("-", at: place) }
        return digits.joined()
    }
}
