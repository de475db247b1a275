// SPDX-License-Identifier: Apache-2.0

import MartletJSON
import MartletSQL

/// Finds the one relationship that an embed means (rest contract 6.2–6.4).
struct RelationshipResolver {
    /// Those that start at the source.
    let relationships: [Relationship]

    /// - Throws: `RowError` PGRST200 when nothing links the two, PGRST201 when more than one relationship does.
    func resolve(from source: QualifiedName, target: String, hint: String?) throws(RowError) -> Relationship {
        let found = relationships.filter { relationship in
            if let hint { relationship.isNamed(target, hint: hint) } else { relationship.isNamed(target) }
        }
        guard let first = found.first else { throw missing(source, target, hint) }
        guard found.count == 1 else { throw ambiguous(source, target, found) }
        return first
    }

    private func missing(_ source: QualifiedName, _ target: String, _ hint: String?) -> RowError {
        let using = hint.map { " using the hint '\($0)'" } ?? ""
        let known = relationships.map(\.target.name)
        let similar = hint == nil ? NameSuggestion.closest(to: target, among: known) : nil
        return RowError(
            "PGRST200",
            "Could not find a relationship between '\(source.name)' and '\(target)' in the schema cache",
            details: "Searched for a foreign key relationship between '\(source.name)' and '\(target)'\(using) "
                + "in the schema '\(source.schema)', but no matches were found.",
            hint: similar.map { "Perhaps you meant '\($0)' instead of '\(target)'." })
    }

    private func ambiguous(_ source: QualifiedName, _ target: String, _ found: [Relationship]) -> RowError {
        let choices = found.map { "'\(target)!\($0.hintName)'" }.joined(separator: ", ")
        var error = RowError(
            "PGRST201",
            "Could not embed because more than one relationship was found for '\(source.name)' and '\(target)'",
            hint: "Try changing '\(target)' to one of the following: \(choices). "
                + "Find the desired relationship in the 'details' key.")
        error.details = .array(
            found.map { relationship in
                [
                    "cardinality": .string(relationship.cardinality.rawValue),
                    "embedding": .string("\(source.name) with \(relationship.target.name)"),
                    "relationship": .string(relationship.description),
                ]
            })
        return error
    }
}

extension Relationship {
    private var isSelfReference: Bool { source == target }

    /// The one pair of columns of a direct join; nil for composite keys and junctions.
    private var singlePair: ColumnPair? {
        if case .direct(let pairs) = join, pairs.count == 1 { pairs[0] } else { nil }
    }

    /// Without a hint: by the target's name, the constraint, or the single key column of the source's side. A table
    /// that refers to itself shows its children by its name, and the parent by the column.
    fileprivate func isNamed(_ text: String) -> Bool {
        if target.name == text, !isSelfReference || !isForward { return true }
        guard case .direct(let pairs) = join else { return false }
        if constraints == [text], !isSelfReference { return true }
        return isForward && pairs.count == 1 && pairs[0].left == text
    }

    fileprivate func isNamed(_ text: String, hint: String) -> Bool {
        guard target.name == text, !isSelfReference || !isForward else { return false }
        if case .through(let junction, _, _) = join { return junction.name == hint }
        if constraints == [hint] { return true }
        guard let pair = singlePair else { return false }
        return pair.left == hint || pair.right == hint
    }

    fileprivate var hintName: String {
        if case .through(let junction, _, _) = join { junction.name } else { constraints.first ?? "" }
    }

    fileprivate var description: String {
        func list(_ columns: [String]) -> String { "(\(columns.joined(separator: ", ")))" }
        switch join {
        case .direct(let pairs):
            return "\(constraints.first ?? "") using \(source.name)\(list(pairs.map(\.left))) "
                + "and \(target.name)\(list(pairs.map(\.right)))"
        case .through(let junction, let sourcePairs, let targetPairs):
            return "\(junction.name) using \(constraints.first ?? "")\(list(sourcePairs.map(\.right))) "
                + "and \(constraints.last ?? "")\(list(targetPairs.map(\.left)))"
        }
    }
}
