// SPDX-License-Identifier: Apache-2.0

/// Finds what a client may have meant by a name that does not exist.
enum NameSuggestion {
    /// Share of the longer name that must be right.
    static let similarityMin = 0.75
    /// Longer names are not compared: the work grows with the product of the lengths.
    private static let lengthMax = 64

    /// The most similar of `names`, when one is similar enough.
    static func closest(to name: String, among names: some Sequence<String>, similarityMin: Double = similarityMin)
        -> String?
    {
        guard name.unicodeScalars.count <= lengthMax else { return nil }
        var best: (name: String, similarity: Double)?
        for candidate in names where candidate.unicodeScalars.count <= lengthMax {
            let length = max(name.unicodeScalars.count, candidate.unicodeScalars.count, 1)
            let similarity = 1 - Double(distance(name, candidate)) / Double(length)
            if similarity >= similarityMin, similarity > best?.similarity ?? 0 { best = (candidate, similarity) }
        }
        return best?.name
    }

    /// Levenshtein distance.
    private static func distance(_ left: String, _ right: String) -> Int {
        let right = Array(right.unicodeScalars)
        var previous = Array(0...right.count)
        for (row, scalar) in left.unicodeScalars.enumerated() {
            var current = [row + 1]
            for (column, other) in right.enumerated() {
                current.append(
                    min(previous[column + 1] + 1, current[column] + 1, previous[column] + (scalar == other ? 0 : 1)))
            }
            previous = current
        }
        return previous[right.count]
    }
}
