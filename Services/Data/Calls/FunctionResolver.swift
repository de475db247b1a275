// SPDX-License-Identifier: Apache-2.0

import MartletSQL

/// Finds the one function that a call means (rest contract 12.2).
struct FunctionResolver {
    let schema: SchemaCache

    /// Names in a refusal; a function has at most as many parameters.
    private static let namesMax = 100
    /// Scalars of a name in a refusal: longer than any identifier.
    private static let nameLengthMax = 64
    /// Signatures are compared with those of the same name, where less has to be alike than among names.
    private static let signatureSimilarityMin = 0.35

    /// - Throws: `RowError` PGRST202 when none fits, PGRST203 when several do, PGRST102 when objects differ.
    func resolve(
        _ name: QualifiedName, _ input: CallInput
    ) throws(RowError) -> (function: DatabaseFunction, arguments: CallArguments) {
        let candidates = schema.exposedFunctions(name)
        var found: [DatabaseFunction] = []
        if let names = input.names { found = candidates.filter { $0.takes(names) } }
        if let function = try single(found) { return (function, input.byName) }
        let whole = candidates.filter { function in
            function.parameters.count == 1 && function.parameters[0].name.isEmpty
                && input.fits(function.parameters[0].type)
        }
        if let function = try single(whole) { return (function, try input.wholeBody()) }
        if input.names == nil, input.bodyType == nil { throw RowError("PGRST102", "All object keys must match") }
        throw missing(name, input, candidates)
    }

    private func single(_ found: [DatabaseFunction]) throws(RowError) -> DatabaseFunction? {
        guard found.count > 1 else { return found.first }
        let choices = found.map { function in
            let parameters = function.parameters.map { "\($0.name) => \($0.type.display)" }.joined(separator: ", ")
            return "\(function.name.schema).\(function.name.name)(\(parameters))"
        }
        throw RowError(
            "PGRST203", "Could not choose the best candidate function between: \(choices.joined(separator: ", "))",
            hint: "Try renaming the parameters or the function itself in the database so function overloading can be "
                + "resolved")
    }

    private func missing(_ name: QualifiedName, _ input: CallInput, _ candidates: [DatabaseFunction]) -> RowError {
        let function = "\(name.schema).\(name.name)"
        let names = (input.names ?? []).prefix(Self.namesMax).map { String($0.prefix(Self.nameLengthMax)) }
        let list = names.joined(separator: ", ")
        let shown = input.bodyType != nil ? "" : names.isEmpty ? " without parameters" : "(\(list))"
        var searched =
            if let type = input.bodyType {
                " with a single unnamed \(type) parameter"
            } else if names.isEmpty {
                " without parameters"
            } else {
                " with parameter\(names.count > 1 ? "s" : "") \(list)"
            }
        if input.form == .document { searched += " or with a single unnamed json/jsonb parameter" }
        return RowError(
            "PGRST202", "Could not find the function \(function)\(shown) in the schema cache",
            details: "Searched for the function \(function)\(searched), but no matches were found in the schema cache.",
            hint: suggestion(name, "(\(list))", candidates).map { "Perhaps you meant to call the function \($0)" })
    }

    private func suggestion(_ name: QualifiedName, _ given: String, _ candidates: [DatabaseFunction]) -> String? {
        if candidates.isEmpty {
            let known = schema.catalog.functions.keys.filter { $0.schema == name.schema }.map(\.name).sorted()
            return NameSuggestion.closest(to: name.name, among: known).map { "\(name.schema).\($0)" }
        }
        let signatures = candidates.map { "(\($0.parameters.map(\.name).joined(separator: ", ")))" }
        return NameSuggestion.closest(to: given, among: signatures, similarityMin: Self.signatureSimilarityMin)
            .map { "\(name.schema).\(name.name)\($0)" }
    }
}

extension DatabaseFunction {
    /// Whether it can be called with exactly these arguments.
    fileprivate func takes(_ names: [String]) -> Bool {
        let given = Set(names)
        let required = parameters.lazy.filter(\.isRequired).map(\.name)
        let known = Set(parameters.map(\.name))
        return required.allSatisfy { !$0.isEmpty && given.contains($0) } && given.isSubset(of: known)
            && !given.contains("")
    }
}
