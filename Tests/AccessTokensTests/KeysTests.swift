// SPDX-License-Identifier: Apache-2.0

import Foundation
import MartletAccessTokens
import MartletJSON
import Testing

@Suite struct KeysTests {
    /// An empty folder that is gone afterwards.
    private func withFolder<Result>(_ body: (String) throws -> Result) throws -> Result {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("martlet-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        return try body(folder.path)
    }

    @Test(arguments: [false, true])
    func `Project keys survive a restart, are private, and verify`(production: Bool) throws {
        try withFolder { folder in
            let keys = try ProjectKeys.loadOrMake(directory: folder, production: production, now: TokenForge.now)
            #expect(try ProjectKeys.load(directory: folder) == keys)
            #expect(try ProjectKeys.loadOrMake(directory: folder, production: production, now: 0) == keys)
            let attributes = try FileManager.default.attributesOfItem(atPath: folder + "/project.json")
            #expect(attributes[.posixPermissions] as? Int == 0o600)
            #expect((keys.jwtSecret == nil) == production)

            let verifier = try TokenVerifier(legacySecret: keys.jwtSecret, fixedKeys: keys.jwks)
            for (token, role) in [(keys.anon, "anon"), (keys.serviceRole, "service_role")] {
                guard case .valid(let verified) = verifier.verify(token, now: TokenForge.now) else {
                    Issue.record("the key of \(role) is refused")
                    continue
                }
                #expect(verified.role == role)
                #expect(verified.isProjectKey)
            }
            #expect(keys.role(ofOpaqueKey: keys.publishable) == "anon")
            #expect(keys.role(ofOpaqueKey: keys.secret) == "service_role")
            #expect(keys.role(ofOpaqueKey: String(keys.secret.dropLast())) == nil)
            #expect(keys.isServiceKey(keys.serviceRole) && keys.isServiceKey(keys.secret))
            let forged = keys.serviceRole.dropLast() + (keys.serviceRole.hasSuffix("_") ? "-" : "_")
            for other in [keys.anon, keys.publishable, "", String(forged)] {
                #expect(!keys.isServiceKey(other))
            }
            #expect(keys.publishable.hasPrefix("sb_publishable_"))
            #expect(keys.secret.hasPrefix("sb_secret_"))
        }
    }

    @Test func `A key file that others may read is refused`() throws {
        try withFolder { folder in
            _ = try ProjectKeys.loadOrMake(directory: folder, production: false, now: TokenForge.now)
            try FileManager.default.setAttributes([.posixPermissions: 0o644], ofItemAtPath: folder + "/project.json")
            #expect(throws: KeyError.self) { try ProjectKeys.load(directory: folder) }
        }
    }

    @Test func `Production refuses the keys that development made, until they are rotated`() throws {
        try withFolder { folder in
            _ = try ProjectKeys.loadOrMake(directory: folder, production: false, now: TokenForge.now)
            #expect(throws: KeyError.self) {
                try ProjectKeys.loadOrMake(directory: folder, production: true, now: TokenForge.now)
            }
            let new = try ProjectKeys.rotate(directory: folder, production: true, now: TokenForge.now)
            #expect(try ProjectKeys.loadOrMake(directory: folder, production: true, now: TokenForge.now) == new)
        }
    }

    @Test func `Rotated project keys replace the old ones`() throws {
        try withFolder { folder in
            let old = try ProjectKeys.loadOrMake(directory: folder, production: false, now: TokenForge.now)
            let new = try ProjectKeys.rotate(directory: folder, production: false, now: TokenForge.now)
            #expect(new.anon != old.anon)
            #expect(try ProjectKeys.load(directory: folder) == new)
        }
    }

    @Test func `A signing key comes back from its private bytes and from its JWK`() throws {
        let key = SigningKey()
        let again = try SigningKey(id: key.id, privateBytes: key.privateBytes)
        #expect(again.publicJWK == key.publicJWK)
        #expect(key.publicJWK["d"] == nil)
        var jwk = key.publicJWK
        jwk["d"] = .string(Base64.encodeURL(key.privateBytes))
        #expect(try SigningKey(jwk: jwk).publicJWK == key.publicJWK)
        jwk["x"] = SigningKey().publicJWK["x"]
        #expect(throws: KeyError.self) { try SigningKey(jwk: jwk) }
    }

    @Test func `A secret opens only in its own place and under its own key`() throws {
        let keys = EncryptionKeys()
        let sealed = try keys.seal([1, 2, 3], context: "sessions/1")
        #expect(try keys.open(sealed, context: "sessions/1") == [1, 2, 3])
        #expect(try EncryptionKeys(parsing: keys.text).open(sealed, context: "sessions/1") == [1, 2, 3])
        #expect(throws: KeyError.self) { try keys.open(sealed, context: "sessions/2") }
        #expect(throws: KeyError.self) { try EncryptionKeys().open(sealed, context: "sessions/1") }
    }

    @Test(arguments: ["", "nonsense", "1=short", "1=AAAA\n1=AAAA"])
    func `Encryption keys that cannot be used are refused`(text: String) {
        #expect(throws: KeyError.self) { try EncryptionKeys(parsing: text) }
    }

    @Test(arguments: zip(["", "f", "fo", "foo", "foob", "\u{FF}"], ["", "Zg", "Zm8", "Zm9v", "Zm9vYg", "w78"]))
    func `Base64url has exactly one text for each sequence of bytes`(plain: String, encoded: String) {
        #expect(Base64.encodeURL(plain.utf8) == encoded)
        #expect(Base64.decodeURL(encoded.utf8) == Array(plain.utf8))
    }

    @Test(arguments: ["Z", "Zh", "Zm9=", "Zm+v", "Zm 9"])
    func `Other spellings are no base64url`(text: String) {
        #expect(Base64.decodeURL(text.utf8) == nil)
    }
}
