// SPDX-License-Identifier: Apache-2.0

/// What a query says about one level: the root, or an embed. Paths are relative to it.
struct PlanLevel {
    var nodes: [SelectNode]
    var conditions: [ParsedQuery.Condition] = []
    var orders: [ParsedQuery.Order] = []
    var windows: [ParsedQuery.Window] = []

    init(_ query: ParsedQuery) {
        nodes = query.select
        conditions = query.conditions
        orders = query.orders
        windows = query.windows
    }

    init(nodes: [SelectNode]) { self.nodes = nodes }

    /// Conditions of the level itself.
    var ownConditions: [ConditionNode] { conditions.filter { $0.path.isEmpty }.map(\.node) }

    /// Order of the level itself: the last one sent.
    var ownOrder: [OrderNode] { orders.last { $0.path.isEmpty }?.terms ?? [] }

    var ownWindow: ParsedQuery.Window? { windows.first { $0.path.isEmpty } }

    /// Position in `nodes` of the embed that `name` means: by alias, by name without alias, then by the name of an
    /// aliased one (rest contract 6.6).
    func embedPosition(_ name: String) -> Int? {
        nodes.firstIndex { $0.embed.map { ($0.alias ?? $0.target) == name } ?? false }
            ?? nodes.firstIndex { $0.embed?.target == name }
    }

    /// The level of each embed, by its position in `nodes`.
    ///
    /// - Throws: `RowError` PGRST108 for a prefix that means no embed.
    func embedded() throws(RowError) -> [Int: PlanLevel] {
        var levels: [Int: PlanLevel] = [:]
        for (position, node) in nodes.enumerated() {
            if let embed = node.embed { levels[position] = PlanLevel(nodes: embed.items) }
        }
        for var condition in conditions where !condition.path.isEmpty {
            let position = try position(condition.path.removeFirst())
            levels[position]?.conditions.append(condition)
        }
        for var order in orders where !order.path.isEmpty {
            let position = try position(order.path.removeFirst())
            levels[position]?.orders.append(order)
        }
        for var window in windows where !window.path.isEmpty {
            let position = try position(window.path.removeFirst())
            levels[position]?.windows.append(window)
        }
        return levels
    }

    private func position(_ name: String) throws(RowError) -> Int {
        guard let position = embedPosition(name) else { throw Self.notEmbedded(name) }
        return position
    }

    static func notEmbedded(_ name: String) -> RowError {
        RowError(
            "PGRST108", "'\(name)' is not an embedded resource in this request",
            hint: "Verify that '\(name)' is included in the 'select' query parameter.")
    }
}

extension SelectNode {
    var embed: EmbedNode? {
        if case .embed(let embed) = self { embed } else { nil }
    }
}
