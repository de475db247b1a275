// SPDX-License-Identifier: Apache-2.0

import MartletDatabase
import MartletJSON
import MartletSQL

/// A row set as a statement, and how its columns become the members of JSON objects.
struct CompiledRows: Sendable {
    enum Cell: Sendable {
        /// A column of the statement.
        case value(column: Int, ColumnType)
        case embed(CompiledRows, isToOne: Bool, parentColumns: [Int])
    }

    struct Member: Sendable {
        /// The key with its quotes and colon.
        var prefix: [UInt8]
        var cell: Cell
    }

    var sql: String
    var bound: Parameters
    /// Positions in `parameters` of what the caller gives: values of the parent's columns, or a row's image.
    var slots: [Int]
    var members: [Member]
    /// Columns of the statement that sort rows which the host has to sort.
    var sortColumns: [Int] = []

    var parameters: [SQLValue] { bound.values }

    /// Every statement with its parameters, those of embeds behind their parent's.
    var statements: [CompiledStatement] {
        members.reduce(into: [CompiledStatement(sql: sql, parameters: parameters)]) { list, member in
            if case .embed(let rows, _, _) = member.cell { list += rows.statements }
        }
    }

    /// Whether other values of the same shape need no other statements.
    var isReusable: Bool {
        bound.isReusable
            && members.allSatisfy { if case .embed(let rows, _, _) = $0.cell { rows.isReusable } else { true } }
    }

    /// The statements without what one read brought.
    var withoutValues: CompiledRows {
        var blank = self
        blank.bound = bound.withoutValues
        for (position, member) in members.enumerated() {
            guard case .embed(let rows, let isToOne, let columns) = member.cell else { continue }
            blank.members[position].cell = .embed(rows.withoutValues, isToOne: isToOne, parentColumns: columns)
        }
        return blank
    }

    /// The same statements for another read of the same shape; nil when it needs others.
    ///
    /// - Throws: `DatabaseError` for a text that is no value of its type.
    func taken(from read: ReadValues) throws(DatabaseError) -> CompiledRows? {
        guard let parameters = try bound.taken(from: read) else { return nil }
        var taken = self
        taken.bound = parameters
        for (position, member) in members.enumerated() {
            guard case .embed(let rows, let isToOne, let columns) = member.cell else { continue }
            guard let inner = try rows.taken(from: read) else { return nil }
            taken.members[position].cell = .embed(inner, isToOne: isToOne, parentColumns: columns)
        }
        return taken
    }

    private var hasEmbeds: Bool { members.contains { if case .embed = $0.cell { true } else { false } } }

    /// Appends the rows' objects, separated by commas, and returns how many they are.
    func append(_ values: [SQLValue], _ session: DatabaseSession, to out: inout [UInt8]) throws -> Int {
        var parameters = parameters
        for (slot, value) in zip(slots, values) { parameters[slot] = value }
        var count = 0
        guard hasEmbeds else {
            try session.forEachRow(sql, parameters) { row in
                if count > 0 { out.append(UInt8(ascii: ",")) }
                appendObject(row, to: &out)
                count += 1
                return true
            }
            return count
        }
        // The rows first, then what hangs on each: no statement stays open while others run.
        for row in try session.query(sql, parameters) {
            if count > 0 { out.append(UInt8(ascii: ",")) }
            try appendObject(row.values, session, to: &out)
            count += 1
        }
        return count
    }

    private func appendObject(_ row: borrowing RowCursor, to out: inout [UInt8]) {
        out.append(UInt8(ascii: "{"))
        for (position, member) in members.enumerated() {
            if position > 0 { out.append(UInt8(ascii: ",")) }
            out.append(contentsOf: member.prefix)
            if case .value(let column, let type) = member.cell { Self.append(row, column, type, to: &out) }
        }
        out.append(UInt8(ascii: "}"))
    }

    /// Straight from the column's bytes: no string is made.
    private static func append(_ row: borrowing RowCursor, _ column: Int, _ type: ColumnType, to out: inout [UInt8]) {
        switch row.kind(column) {
        case .null: out.append(contentsOf: "null".utf8)
        case .integer: ValueForm.appendJSON(row.integer(column), type: type, to: &out)
        case .text:
            let isBare = type.isArray || type.base == .numeric || type.base == .json || type.base == .jsonb
            row.withText(column) { bytes in
                if isBare { out.append(contentsOf: bytes) } else { JSONText.appendString(bytes, to: &out) }
            }
        case .real, .blob: ValueForm.appendJSON(row.value(column), type: type, to: &out)
        }
    }

    func appendObject(_ values: [SQLValue], _ session: DatabaseSession, to out: inout [UInt8]) throws {
        out.append(UInt8(ascii: "{"))
        for (position, member) in members.enumerated() {
            if position > 0 { out.append(UInt8(ascii: ",")) }
            out.append(contentsOf: member.prefix)
            switch member.cell {
            case .value(let column, let type): ValueForm.appendJSON(values[column], type: type, to: &out)
            case .embed(let rows, let isToOne, let columns):
                let keys = columns.map { values[$0] }
                try Self.append(rows, isToOne: isToOne, keys, session, to: &out)
            }
        }
        out.append(UInt8(ascii: "}"))
    }

    private static func append(
        _ rows: CompiledRows, isToOne: Bool, _ keys: [SQLValue], _ session: DatabaseSession, to out: inout [UInt8]
    ) throws {
        let start = out.count
        if !isToOne { out.append(UInt8(ascii: "[")) }
        // The statement runs for null keys too: `todos(count)` has a row without any match.
        let count = try rows.append(keys, session, to: &out)
        if !isToOne { out.append(UInt8(ascii: "]")) }
        if isToOne, count == 0 {
            out.removeSubrange(start...)
            out.append(contentsOf: "null".utf8)
        }
    }
}

/// A statement as SQLite gets it.
struct CompiledStatement: Equatable {
    let sql: String
    let parameters: [SQLValue]
}
