// SPDX-License-Identifier: Apache-2.0

import Foundation
import Glibc
import MartletJSON
import Testing

@Suite("martlet keys", .timeLimit(.minutes(2)))
struct KeysTests {
    @Test("It makes the keys once and shows them the same from then on, in both forms")
    func showsTheSame() async throws {
        let stack = try Stack(.one)
        let keys = try await stack.keys()
        #expect(try await stack.keys() == keys)
        let text = try await Program.run(["keys", "--project", stack.folder], environment: stack.environment).printed
        for name in ["anon", "service_role", "publishable", "secret", "jwt_secret"] {
            let value = try #require(keys[name]?.stringValue, "\(name)")
            #expect(text.contains(value))
        }
        #expect(keys["publishable"]?.stringValue?.hasPrefix("sb_publishable_") == true)
        #expect(keys["secret"]?.stringValue?.hasPrefix("sb_secret_") == true)
        #expect(keys["jwks"]?["keys"]?.arrayValue != nil)
        for service in ["edge", "auth", "data", "logic", "notification", "operator"] {
            var status = stat()
            #expect(stat("\(stack.folder)/state/keys/curve/\(service).key", &status) == 0)
            #expect(status.st_mode & 0o777 == 0o600)
        }
        #expect(!FileManager.default.fileExists(atPath: stack.folder + "/state/keys/made-for-development"))
    }

    @Test("Production's keys hold no secret that signs tokens")
    func production() async throws {
        let stack = try Stack(.one)
        stack.environment["MARTLET_ENV"] = "production"
        let keys = try await stack.keys()
        #expect(keys["jwt_secret"] == nil)
        #expect(keys["jwks"]?["keys"]?.arrayValue?.count == 1)
    }

    @Test("Rotation makes every key anew, takes the mark of development away, and waits for a stop")
    func rotation() async throws {
        let stack = try Stack(.five)
        let program = try await stack.start()
        let old = try await stack.keys()
        let curve = { try String(contentsOfFile: stack.folder + "/state/keys/curve/data.pub", encoding: .utf8) }
        let oldPair = try curve()
        let marker = stack.folder + "/state/keys/made-for-development"
        #expect(FileManager.default.fileExists(atPath: marker))
        let early = try await Program.run(["keys", "rotate"], environment: stack.environment)
        #expect(early.status == 75, "\(early.complaints)")
        #expect(try await stack.keys() == old)
        program.send(SIGTERM)
        #expect(try await program.end() == 0)

        let rotated = try await Program.run(["keys", "rotate", "--json"], environment: stack.environment)
        #expect(rotated.status == 0, "\(rotated.complaints)")
        let new = try JSONValue(parsing: rotated.printed)
        for name in ["anon", "service_role", "publishable", "secret", "jwt_secret"] {
            #expect(new[name] != old[name], "\(name)")
        }
        #expect(try await stack.keys() == new)
        #expect(try curve() != oldPair)
        #expect(!FileManager.default.fileExists(atPath: marker))
    }
}
