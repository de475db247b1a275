// SPDX-License-Identifier: Apache-2.0

/// A function of the database, as far as a caller has to know it. One name may have several.
package struct DatabaseFunction: Sendable, Equatable {
    package enum Volatility: String, Sendable { case immutable, stable, volatile }

    /// A parameter that takes an argument; those that only bring something out are the result's columns.
    package struct Parameter: Sendable, Equatable {
        /// Empty: it can be given by its position alone.
        package var name: String
        package var type: ColumnType
        /// It has no default.
        package var isRequired: Bool
        /// Takes what is left, as one array; `type` is the array's.
        package var isVariadic: Bool

        package init(_ name: String, _ type: ColumnType, isRequired: Bool = true, isVariadic: Bool = false) {
            self.name = name
            self.type = type
            self.isRequired = isRequired
            self.isVariadic = isVariadic
        }
    }

    package enum Result: Sendable, Equatable {
        case void
        /// A value without columns; a record that declares none is one, too.
        case value(ColumnType)
        /// Of a table, of a composite type, of `TABLE (…)` or of OUT parameters. `relation` is the table or view whose
        /// row type it is.
        case row([Column], relation: QualifiedName?)
    }

    package var name: QualifiedName
    package var parameters: [Parameter]
    package var result: Result
    /// `SETOF` or `TABLE (…)`: any number of results.
    package var returnsSet: Bool
    package var volatility: Volatility
    /// Its `SET` options, by the names of the settings.
    package var settings: [String: String]

    package init(
        _ name: QualifiedName, parameters: [Parameter] = [], result: Result, returnsSet: Bool = false,
        volatility: Volatility = .volatile, settings: [String: String] = [:]
    ) {
        self.name = name
        self.parameters = parameters
        self.result = result
        self.returnsSet = returnsSet
        self.volatility = volatility
        self.settings = settings
    }
}
