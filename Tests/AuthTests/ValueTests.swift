// SPDX-License-Identifier: Apache-2.0

import MartletAuth
import Testing

/// Values of the contract, among them e-mail addresses (AU-173).
@Suite struct ValueTests {
    @Test(
        arguments: [
            (0, "1970-01-01T00:00:00Z", "1970-01-01 00:00:00+00"),
            (1_767_323_045_678_901, "2026-01-02T03:04:05.678901Z", "2026-01-02 03:04:05.678901+00"),
            (951_782_400_500_000, "2000-02-29T00:00:00.5Z", "2000-02-29 00:00:00.5+00"),
            (-1, "1969-12-31T23:59:59.999999Z", "1969-12-31 23:59:59.999999+00"),
            (253_402_300_799_999_999, "9999-12-31T23:59:59.999999Z", "9999-12-31 23:59:59.999999+00"),
        ] as [(Int64, String, String)])
    func `A time has one text in each form and comes back from it`(microseconds: Int64, rfc: String, postgres: String) {
        let time = Timestamp(microseconds: microseconds)
        #expect(time.rfc3339 == rfc)
        #expect(time.postgresText == postgres)
        #expect(Timestamp(rfc) == time)
        #expect(Timestamp(postgres) == time)
    }

    @Test(arguments: ["2026-01-02 03:04:05+05:30", "2026-01-01T21:34:05Z", "2026-01-01 16:34:05-05"])
    func `An offset is taken into account`(text: String) {
        #expect(Timestamp(text)?.rfc3339 == "2026-01-01T21:34:05Z")
    }

    @Test(arguments: ["", "2026", "2026-13-01T00:00:00Z", "2026-01-01T00:00:00", "2026-01-01T00:00:00.Z", "infinity"])
    func `Other texts are no times`(text: String) {
        #expect(Timestamp(text) == nil)
    }

    @Test func `Times do not run past what clients can read`() {
        #expect(Timestamp(microseconds: 0).advanced(by: .seconds(Int64.max)) == .latest)
        #expect(Timestamp.latest.advanced(by: .seconds(1)) == .latest)
    }

    @Test func `A hash of the default strength has the agreed parameters and checks out`() throws {
        let hash = try #require(Argon2id.floor.hash(Array("secret".utf8)))
        #expect(hash.hasPrefix("$argon2id$v=19$m=19456,t=2,p=1$"))
        #expect(Argon2id.matches(Array("secret".utf8), hash))
        #expect(!Argon2id.matches(Array("Secret".utf8), hash))
        #expect(Argon2id.floor.hash(Array("secret".utf8)) != hash)
    }

    /// The reference implementation's own vector (argon2 0x13, Argon2id, `password` and `somesalt`).
    @Test func `Hashes of other programs check out`() {
        let hash =
            "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4"
        #expect(Argon2id.matches(Array("password".utf8), hash))
        #expect(!Argon2id.matches(Array("passwort".utf8), hash))
    }

    @Test(arguments: [
        "", "$argon2id$", "$2a$10$abc", "$argon2d$v=19$m=64,t=1,p=1$YWFhYWFhYWE$YQ",
        "$argon2id$v=16$m=64,t=1,p=1$YWFhYWFhYWE$YQ", "$argon2id$v=19$m=2097152,t=1,p=1$YWFhYWFhYWE$YQ",
        "$argon2id$v=19$m=64,t=99,p=1$YWFhYWFhYWE$YQ", "$argon2id$v=19$m=64,t=1,p=99$YWFhYWFhYWE$YQ",
    ])
    func `Hashes that ask for too much, or are none, are not computed`(hash: String) {
        #expect(Argon2id.parameters(of: hash) == nil)
        #expect(!Argon2id.matches([], hash))
    }

    @Test func `Identifiers are version 4 and read in either case`() {
        let id = RandomBytes.makeUUID()
        #expect(id.utf8.count == 36)
        #expect(Array(id)[14] == "4")
        #expect(UUIDText.normalized(id.uppercased()) == id)
        #expect(UUIDText.normalized(String(id.dropLast())) == nil)
        #expect(UUIDText.normalized("g" + id.dropFirst()) == nil)
    }

    @Test func `Work that waits too long, or too much of it, is refused and not piled up`() async throws {
        let hasher = try PasswordHasher(
            parameters: Argon2id(memoryKibibytes: 4_096, iterations: 4, lanes: 1), threads: 1)
        let password = try #require(Password("secret", bytesMax: 72))
        let outcomes = await withTaskGroup(of: UInt16.self) { group in
            for _ in 0..<(PasswordHasher.waitingMax + 200) {
                group.addTask {
                    do throws(AuthError) {
                        _ = try await hasher.hash(password)
                        return 200
                    } catch { return error.status }
                }
            }
            return await group.reduce(into: [UInt16]()) { $0.append($1) }
        }
        #expect(outcomes.contains(200))
        #expect(outcomes.contains(503))
        #expect(outcomes.allSatisfy { $0 == 200 || $0 == 503 })
        await hasher.close()
        await #expect(throws: AuthError.overloaded) { try await hasher.hash(password) }
    }
}
