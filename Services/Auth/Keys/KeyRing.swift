// SPDX-License-Identifier: Apache-2.0

internal import MartletAccessTokens
internal import MartletDatabase
internal import MartletJSON

/// The keys that sign and verify access tokens (AU-141), kept encrypted in auth's database.
struct KeyRing: Sendable {
    /// The one key that signs.
    let signing: SigningKey
    /// The public halves of all keys, the signing one first.
    let publicKeys: [JSONObject]

    /// Reads the keys; makes the first one on the first start. Replicas that start at once agree on one, because a
    /// unique index admits a single signing key.
    static func loadOrMake(
        database: Database, encryption: EncryptionKeys, now: Timestamp
    ) async throws(AuthError) -> KeyRing {
        if let ring = try await load(database: database, encryption: encryption) { return ring }
        let key = SigningKey()
        let sealed: String
        do throws(KeyError) {
            sealed = try encryption.seal(key.privateBytes, context: context(key.id))
        } catch { throw .failure(error.message) }
        do throws(AuthError) {
            try await database.writing { session in
                try session.execute(
                    "insert into signing_keys (id, private_key, state, created_at) values ($1, $2, 'signing', $3)",
                    [.text(key.id), .text(sealed), now.sqlValue])
            }
        } catch {
            guard error == .taken else { throw error }
        }
        guard let ring = try await load(database: database, encryption: encryption) else {
            throw .failure("there is no signing key")
        }
        return ring
    }

    private static func load(
        database: Database, encryption: EncryptionKeys
    ) async throws(AuthError) -> KeyRing? {
        let rows = try await database.reading { session in
            try session.query("select id, private_key, state from signing_keys order by state, created_at desc")
        }
        var signing: SigningKey?
        var publicKeys: [JSONObject] = []
        for row in rows {
            guard let id = row["id"].textValue, let sealed = row["private_key"].textValue else { continue }
            do throws(KeyError) {
                let key = try SigningKey(id: id, privateBytes: encryption.open(sealed, context: context(id)))
                if row["state"].textValue == "signing" { signing = key }
                publicKeys.append(key.publicJWK)
            } catch { throw .failure("signing key \(id): \(error.message)") }
        }
        return signing.map { KeyRing(signing: $0, publicKeys: publicKeys) }
    }

    private static func context(_ id: String) -> String { "signing_keys/\(id)" }
}
