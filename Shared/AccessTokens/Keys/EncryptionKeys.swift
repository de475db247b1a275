// SPDX-License-Identifier: Apache-2.0

internal import Crypto
internal import FoundationEssentials

/// The keys that encrypt secrets at rest (AU-531): AES-256-GCM, the first key encrypts, every key decrypts.
///
/// Text form, also of the file `keys/encryption`: one `id=base64` a line or between commas.
package struct EncryptionKeys: Sendable {
    private struct Key: Sendable {
        let id: String
        let key: SymmetricKey
    }

    private static let keyBytes = 32
    private let keys: [Key]

    /// A new set of one key.
    package init() { keys = [Key(id: "1", key: SymmetricKey(size: .bits256))] }

    /// Reads `id=base64` entries between commas or line breaks.
    package init(parsing text: String) throws(KeyError) {
        var keys: [Key] = []
        for line in text.split(whereSeparator: { $0 == "," || $0.isNewline }) {
            let entry = line.drop { $0 == " " }
            guard !entry.isEmpty, !entry.hasPrefix("#") else { continue }
            let parts = entry.split(separator: "=", maxSplits: 1)
            guard parts.count == 2, !parts[0].contains(":") else {
                throw KeyError("an encryption key must be written id=base64")
            }
            let id = String(parts[0])
            guard let bytes = Base64.decode(parts[1].utf8), bytes.count == Self.keyBytes else {
                throw KeyError("encryption key \(id) must be base64 of \(Self.keyBytes) bytes")
            }
            guard !keys.contains(where: { $0.id == id }) else { throw KeyError("encryption key \(id) is there twice") }
            keys.append(Key(id: id, key: SymmetricKey(data: bytes)))
        }
        guard !keys.isEmpty else { throw KeyError("there is no encryption key") }
        self.keys = keys
    }

    /// The text form, with the secrets in it.
    package var text: String {
        keys.map { key in "\(key.id)=\(Base64.encode(key.key.withUnsafeBytes { Array($0) }))\n" }.joined()
    }

    /// The keys of the file `encryption` in `directory`; made there first if there is none.
    package static func loadOrMake(directory: String) throws(KeyError) -> EncryptionKeys {
        let file = SecretFile(path: directory + "/encryption")
        return try EncryptionKeys(parsing: try file.readOrCreate { EncryptionKeys().text })
    }

    /// The keys of the file `encryption` in `directory`; nil if there is none.
    package static func load(directory: String) throws(KeyError) -> EncryptionKeys? {
        guard let text = try SecretFile(path: directory + "/encryption").read() else { return nil }
        return try EncryptionKeys(parsing: text)
    }

    /// Encrypts `secret`. `context` names its place (table and row): a ciphertext moved elsewhere does not open.
    package func seal(_ secret: [UInt8], context: String) throws(KeyError) -> String {
        guard let first = keys.first else { throw KeyError("there is no encryption key") }
        do {
            let box = try AES.GCM.seal(secret, using: first.key, authenticating: Array(context.utf8))
            let bytes = Array(box.nonce) + Array(box.ciphertext) + Array(box.tag)
            return first.id + ":" + Base64.encodeURL(bytes)
        } catch { throw KeyError("encryption key \(first.id) cannot encrypt") }
    }

    /// Decrypts what `seal` returned for the same context.
    package func open(_ sealed: String, context: String) throws(KeyError) -> [UInt8] {
        let parts = sealed.split(separator: ":", maxSplits: 1)
        guard parts.count == 2, let bytes = Base64.decodeURL(parts[1].utf8) else {
            throw KeyError("a sealed secret cannot be read")
        }
        guard let key = keys.first(where: { $0.id == parts[0] }) else {
            throw KeyError("encryption key \(parts[0]) is missing")
        }
        do {
            let box = try AES.GCM.SealedBox(combined: bytes)
            return Array(try AES.GCM.open(box, using: key.key, authenticating: Array(context.utf8)))
        } catch { throw KeyError("a sealed secret does not open under key \(key.id)") }
    }
}
