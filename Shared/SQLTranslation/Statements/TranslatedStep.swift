// SPDX-License-Identifier: Apache-2.0

/// One thing to do for a migration.
package enum TranslatedStep: Sendable, Equatable {
    /// A statement of SQLite without parameters.
    case sql(String)
    case insert(TranslatedInsert)
}
