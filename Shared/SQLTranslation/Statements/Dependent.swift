// SPDX-License-Identifier: Apache-2.0

/// What stands in the catalogue on top of a relation or one of its columns.
enum Dependent: Equatable {
    case policy(String, on: QualifiedName)
    case view(QualifiedName)

    var description: String {
        switch self {
        case .policy(let name, let table): "policy \(name) on table \(table.name)"
        case .view(let name): "view \(name.name)"
        }
    }
}
