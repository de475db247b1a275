// SPDX-License-Identifier: Apache-2.0

internal import CZeroMQ
internal import Glibc
package import MartletWire

/// A CURVE key pair in Z85 text (40 characters each), as `keys/curve/<service>.{key,pub}` hold it (D8).
package struct CurveKeyPair: Sendable, Equatable {
    package let publicKey: String
    /// A secret: never logged, never part of an error.
    package let secretKey: String

    package init(publicKey: String, secretKey: String) {
        self.publicKey = publicKey
        self.secretKey = secretKey
    }

    /// Makes a new pair from the system's random numbers.
    package static func make() throws(BusError) -> CurveKeyPair {
        var publicKey = [CChar](repeating: 0, count: 41)
        var secretKey = [CChar](repeating: 0, count: 41)
        guard unsafe zmq_curve_keypair(&publicKey, &secretKey) == 0 else {
            throw BusError(.internalError, executed: .no, ZeroMQError("zmq_curve_keypair").description)
        }
        return CurveKeyPair(publicKey: Self.text(publicKey), secretKey: Self.text(secretKey))
    }

    /// Whether `text` has the form of a key.
    package static func isKey(_ text: String) -> Bool {
        guard text.utf8.count == 40 else { return false }
        var raw = [UInt8](repeating: 0, count: 32)
        return unsafe zmq_z85_decode(&raw, text) != nil
    }

    /// Reads `<directory>/<service>.key` and `.pub`. Refuses a secret that anybody but its owner may read.
    package static func load(_ service: ServiceName, directory: String) throws(BusError) -> CurveKeyPair {
        let secretKey = try KeyFile.read("\(directory)/\(service.rawValue).key", isSecret: true)
        let publicKey = try KeyFile.read("\(directory)/\(service.rawValue).pub", isSecret: false)
        var derived = [CChar](repeating: 0, count: 41)
        guard isKey(secretKey), isKey(publicKey), unsafe zmq_curve_public(&derived, secretKey) == 0,
            Self.text(derived) == publicKey
        else {
            throw BusError(
                .internalError, executed: .no, "\(directory)/\(service.rawValue).key and .pub are no key pair")
        }
        return CurveKeyPair(publicKey: publicKey, secretKey: secretKey)
    }

    /// Writes both files, each of mode 0600, the secret first; neither is ever readable by others.
    package func save(_ service: ServiceName, directory: String) throws(BusError) {
        try KeyFile.write("\(directory)/\(service.rawValue).key", secretKey + "\n")
        try KeyFile.write("\(directory)/\(service.rawValue).pub", publicKey + "\n")
    }

    private static func text(_ characters: [CChar]) -> String {
        String(decoding: characters.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}
