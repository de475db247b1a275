// SPDX-License-Identifier: Apache-2.0

/// Why a text is no JSON, and where.
package struct JSONError: Error, Sendable, Equatable {
    package enum Reason: String, Sendable {
        case unexpectedEnd = "unexpected end of input"
        case unexpectedByte = "unexpected character"
        case invalidNumber = "invalid number"
        case invalidString = "invalid string"
        case invalidUTF8 = "invalid UTF-8"
        /// An escaped surrogate without its partner.
        case loneSurrogate = "lone surrogate"
        case tooDeep = "nesting too deep"
        case trailingBytes = "characters after the value"
    }

    package let reason: Reason
    /// Byte offset of the fault.
    package let offset: Int

    package init(reason: Reason, offset: Int) {
        self.reason = reason
        self.offset = offset
    }
}
