// SPDX-License-Identifier: Apache-2.0

import Glibc
import MartletAccessTokens
import MartletJSON
import MartletServiceKit
import Testing

@testable import MartletLogic

@Suite("Functions: what workers are held by")
struct WorkerValueTests {
    @Test("A file of variables is read; what is not for a project to say is left out")
    func variables() {
        let text = """
            # comment
            PLAIN=a b
            export QUOTED="x\\ny"
              SINGLE = 'q"r'
            SUPABASE_URL=no
            MARTLET_URL=no
            1BAD-NAME=no
            nothing
            EMPTY=
            """
        #expect(
            WorkerEnvironment.parse(text)
                == ["PLAIN": "a b", "QUOTED": "x\ny", "SINGLE": "q\"r", "EMPTY": ""])
        let many = (1...200).map { "V\($0)=x" }.joined(separator: "\n")
        #expect(WorkerEnvironment.parse(many).count == WorkerEnvironment.variablesMax)
    }

    @Test("Folders that link to themselves are read once", .timeLimit(.minutes(1)))
    func cycles() throws {
        let project = try TestProject("", files: ["functions/f/sub/index.ts": "a"])
        for name in ["one", "two", "sub/three"] {
            #expect(symlink("\(project.path)/functions/f", "\(project.path)/functions/f/\(name)") == 0)
        }
        let folder = "\(project.path)/functions/f"
        let before = FolderReader.signature(of: [folder], filesMax: 10_000)
        #expect(FolderReader.signature(of: [folder], filesMax: 10_000) == before)
        #expect(OlderServe.addresses(in: [folder]).isEmpty)
        try PosixFile.replace("\(folder)/sub/index.ts", with: "ab")
        #expect(FolderReader.signature(of: [folder], filesMax: 10_000) != before)
    }

    @Test("Output is cut into lines, long ones once, and too many are counted")
    func lines() {
        var output = OutputLines()
        let now = ContinuousClock.now
        #expect(output.take(Array("a\nb".utf8), at: now).map(\.text) == ["a"])
        #expect(output.take(Array("c\n\n".utf8), at: now).map(\.text) == ["bc", ""])
        let long = String(repeating: "x", count: 3 * OutputLines.lineBytesMax) + "\nnext"
        let cut = output.take(Array(long.utf8), at: now)
        #expect(cut.map(\.text.utf8.count) == [OutputLines.lineBytesMax])
        #expect(cut.map(\.isCut) == [true])
        #expect(output.rest(at: now).map(\.text) == ["next"])
        let many = Array(String(repeating: "m\n", count: 1_000).utf8)
        let passed = output.take(many, at: now).count
        #expect(passed < OutputLines.linesMax)
        #expect(output.takeDropped() == 1_000 - passed)
        #expect(output.take(Array("m\n".utf8), at: now + OutputLines.window).count == 1)
    }

    @Test("Processor time is allowed per request in hand, from the last answer on")
    func cpu() {
        let now = ContinuousClock.now
        func usage(_ seconds: Int) -> ProcessTable.Usage { ProcessTable.Usage(cpu: .seconds(seconds)) }
        var watch = WorkerWatch(cpuTime: .seconds(2), memoryBytesMax: 100, processesMax: 3)
        #expect(watch.check(usage(10), inHand: 1, hasMoved: true, at: now) == nil)
        #expect(watch.check(usage(12), inHand: 1, hasMoved: false, at: now) == nil)
        #expect(watch.check(usage(13), inHand: 2, hasMoved: false, at: now) == nil)
        #expect(watch.check(usage(13), inHand: 1, hasMoved: false, at: now) == .cpu)
        #expect(watch.check(usage(13), inHand: 1, hasMoved: true, at: now) == nil)
        #expect(watch.check(usage(15), inHand: 1, hasMoved: false, at: now) == nil)
        // Without requests a little adds up for ever, and much does not pass.
        #expect(watch.check(usage(15), inHand: 0, hasMoved: true, at: now) == nil)
        #expect(watch.check(usage(17), inHand: 0, hasMoved: false, at: now + .seconds(11)) == nil)
        #expect(watch.check(usage(19), inHand: 0, hasMoved: false, at: now + .seconds(12)) == nil)
        #expect(watch.check(usage(20), inHand: 0, hasMoved: false, at: now + .seconds(13)) == .cpu)
        #expect(watch.check(ProcessTable.Usage(memoryBytes: 101), inHand: 1, hasMoved: true, at: now) == .memory)
        #expect(watch.check(ProcessTable.Usage(processes: 4), inHand: 1, hasMoved: true, at: now) == .processes)
        #expect(watch.check(ProcessTable.Usage(threads: 63), inHand: 1, hasMoved: true, at: now) == nil)
        #expect(watch.check(ProcessTable.Usage(threads: 64), inHand: 1, hasMoved: true, at: now) == .processes)
    }

    @Test("The older serve is found in sources, and put into the project's own import map")
    func olderServe() throws {
        let project = try TestProject(
            "",
            files: [
                "functions/old/index.ts":
                    "import { serve } from \"https://deno.land/std@0.168.0/http/server.ts\";\nimport 'own';",
                "functions/old/more/a.js": "export * from 'https://deno.land/std/http/server.ts'",
                "functions/old/deno.json":
                    #"{"imports":{"own":"./own.ts","far":"npm:x"},"scopes":{"./a/":{"b":"../c"}}}"#,
                "functions/new/index.ts": "import 'https://deno.land/std@0.168.0/http/file_server.ts'; Deno.serve()",
            ])
        let folder = "\(project.path)/functions/old"
        let url = try #require(OlderServe.importMap(for: [folder], extending: "\(folder)/deno.json"))
        let bytes = try #require(Base64.decode(url.dropFirst("data:application/json;base64,".count).utf8))
        let map = try #require(try JSONValue(parsing: bytes).objectValue)
        let imports = try #require(map["imports"]?.objectValue)
        #expect(imports["own"] == .string("file://\(folder)/./own.ts"))
        #expect(imports["far"] == "npm:x")
        for address in ["https://deno.land/std@0.168.0/http/server.ts", "https://deno.land/std/http/server.ts"] {
            #expect(imports[address]?.stringValue?.hasPrefix("data:text/javascript;base64,") == true)
        }
        #expect(
            map["scopes"]?.objectValue?["file://\(folder)/./a/"]?.objectValue?["b"] == .string("file://\(folder)/../c"))
        #expect(OlderServe.importMap(for: ["\(project.path)/functions/new"], extending: nil) == nil)
    }

    @Test("Restarts wait longer after each failure in a row, up to a bound")
    func delays() {
        #expect(
            (0...4).map(FunctionWorkers.delay) == [
                .zero, .zero, .milliseconds(100), .milliseconds(200), .milliseconds(400),
            ])
        #expect(FunctionWorkers.delay(afterFailures: 100) == FunctionLimits.restartDelayMax)
    }
}
