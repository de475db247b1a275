// SPDX-License-Identifier: Apache-2.0

@_spi(_Unicode) import Swift

/// A password in normal form C (AU-512): the same on every keyboard. Never printed.
package struct Password: Sendable, CustomStringConvertible {
    let bytes: [UInt8]
    /// Length in characters, as people count them.
    let characterCount: Int

    /// Nil when `text` is longer than `bytesMax`: such a password is never hashed, and never cut.
    package init?(_ text: String, bytesMax: Int) {
        guard text.utf8.count <= bytesMax else { return nil }
        var scalars = String.UnicodeScalarView()
        // The standard library's normalisation, which Foundation builds on as well; it is not public there yet.
        for scalar in text._nfc { scalars.append(scalar) }
        let normal = String(scalars)
        bytes = Array(normal.utf8)
        characterCount = normal.count
    }

    package var description: String { "(password)" }
}

/// What a new password must look like (18.1 of the auth contract).
package struct PasswordPolicy: Sendable, Equatable {
    /// Shortest length, in characters.
    package var lengthMin: Int
    /// Longest length, in bytes.
    package var bytesMax: Int

    package init(lengthMin: Int = 8, bytesMax: Int = 256) {
        self.lengthMin = lengthMin
        self.bytesMax = bytesMax
    }

    /// The password that `text` is.
    ///
    /// - Throws: `validation_failed` when it is too long, `weak_password` when it breaks a rule.
    package func check(_ text: String) throws(AuthError) -> Password {
        guard let password = Password(text, bytesMax: bytesMax) else {
            throw .validation("Password cannot be longer than \(bytesMax) characters")
        }
        if let weakness = weakness(of: password) { throw .weakPassword(weakness) }
        return password
    }

    /// The rules that `password` breaks; nil if none.
    package func weakness(of password: Password) -> PasswordWeakness? {
        guard password.characterCount < lengthMin else { return nil }
        return PasswordWeakness(
            message: "Password should be at least \(lengthMin) characters.", reasons: ["length"])
    }
}

/// Why a password is weak, in words for people and for programs.
package struct PasswordWeakness: Sendable, Equatable {
    package let message: String
    /// Of `length`, `characters`, `pwned`.
    package let reasons: [String]
}
