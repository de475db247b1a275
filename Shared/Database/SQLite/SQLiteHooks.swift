// SPDX-License-Identifier: Apache-2.0

import CSQLite

/// What SQLite calls back on one connection: host functions, collations, and the question whether to stop.
///
/// Every callback runs on the connection's thread, inside a call of ours. The connection keeps this object alive for
/// as long as its handle is open.
final class SQLiteHooks {
    var interruption: Interruption?
    /// What a host function threw; SQLite itself carries only a text.
    var thrown: DatabaseError?
    /// On the connection that writes, when somebody keeps a log; nil elsewhere.
    var changes: CapturedChanges?
    private var callees: [AnyObject] = []

    /// Virtual machine instructions between two questions whether to stop: about every millisecond.
    private static let instructionsBetweenQuestions: Int32 = 20_000

    func install(on handle: OpaquePointer, configuration: DatabaseConfiguration) {
        let context = unsafe Unmanaged.passUnretained(self).toOpaque()
        unsafe sqlite3_progress_handler(
            handle, Self.instructionsBetweenQuestions,
            { context in
                guard let context = unsafe context else { return 0 }
                let hooks = unsafe Unmanaged<SQLiteHooks>.fromOpaque(context).takeUnretainedValue()
                return hooks.interruption?.isDue == true ? 1 : 0
            }, context)
        for function in configuration.functions { unsafe install(function, on: handle) }
        for collation in configuration.collations { unsafe install(collation, on: handle) }
        for aggregate in configuration.aggregates { unsafe install(aggregate, on: handle) }
    }

    private func install(_ function: SQLiteFunction, on handle: OpaquePointer) {
        let callee = FunctionCallee(function, self)
        callees.append(callee)
        let flags = SQLITE_UTF8 | (function.isDeterministic ? SQLITE_DETERMINISTIC : 0)
        unsafe sqlite3_create_function_v2(
            handle, function.name, function.argumentCount, flags, Unmanaged.passUnretained(callee).toOpaque(),
            { context, count, values in
                guard let data = unsafe sqlite3_user_data(context) else { return }
                let callee = unsafe Unmanaged<FunctionCallee>.fromOpaque(data).takeUnretainedValue()
                unsafe callee.answer(context) { unsafe try callee.function.body(SQLiteHooks.arguments(count, values)) }
            }, nil, nil, nil)
    }

    private func install(_ collation: SQLiteCollation, on handle: OpaquePointer) {
        let callee = CollationCallee(collation)
        callees.append(callee)
        unsafe sqlite3_create_collation_v2(
            handle, collation.name, SQLITE_UTF8, Unmanaged.passUnretained(callee).toOpaque(),
            { data, leftCount, left, rightCount, right in
                guard let data = unsafe data else { return 0 }
                let callee = unsafe Unmanaged<CollationCallee>.fromOpaque(data).takeUnretainedValue()
                return unsafe callee.collation.compare(
                    SQLiteHooks.text(left, leftCount), SQLiteHooks.text(right, rightCount))
            }, nil)
    }

    private func install(_ aggregate: SQLiteAggregate, on handle: OpaquePointer) {
        let callee = AggregateCallee(aggregate, self)
        callees.append(callee)
        unsafe sqlite3_create_function_v2(
            handle, aggregate.name, aggregate.argumentCount, SQLITE_UTF8 | SQLITE_DETERMINISTIC,
            Unmanaged.passUnretained(callee).toOpaque(), nil,
            { context, count, values in
                guard let data = unsafe sqlite3_user_data(context) else { return }
                let callee = unsafe Unmanaged<AggregateCallee>.fromOpaque(data).takeUnretainedValue()
                unsafe callee.step(context, SQLiteHooks.arguments(count, values))
            },
            { context in
                guard let data = unsafe sqlite3_user_data(context) else { return }
                let callee = unsafe Unmanaged<AggregateCallee>.fromOpaque(data).takeUnretainedValue()
                unsafe callee.finish(context)
            }, nil)
    }

    fileprivate static func arguments(
        _ count: Int32, _ values: UnsafeMutablePointer<OpaquePointer?>?
    ) -> [SQLValue] {
        (0..<Int(count)).map { position in
            guard let value = unsafe values?[position] else { return .null }
            return unsafe self.value(value)
        }
    }

    static func value(_ value: OpaquePointer) -> SQLValue {
        switch unsafe sqlite3_value_type(value) {
        case SQLITE_INTEGER: return .integer(unsafe sqlite3_value_int64(value))
        case SQLITE_FLOAT: return .real(unsafe sqlite3_value_double(value))
        case SQLITE_TEXT:
            let start = unsafe sqlite3_value_text(value)
            let bytes = unsafe UnsafeBufferPointer(
                start: start, count: start == nil ? 0 : Int(sqlite3_value_bytes(value)))
            return .text(unsafe String(decoding: bytes, as: UTF8.self))
        case SQLITE_BLOB:
            let start = unsafe sqlite3_value_blob(value)
            let bytes = unsafe UnsafeRawBufferPointer(
                start: start, count: start == nil ? 0 : Int(sqlite3_value_bytes(value)))
            return .blob(unsafe Array(bytes))
        default: return .null
        }
    }

    fileprivate static func text(_ bytes: UnsafeRawPointer?, _ count: Int32) -> String {
        unsafe String(
            decoding: UnsafeRawBufferPointer(start: bytes, count: bytes == nil ? 0 : Int(count)), as: UTF8.self)
    }

    fileprivate static func answer(_ context: OpaquePointer?, _ value: SQLValue) {
        switch value {
        case .null: unsafe sqlite3_result_null(context)
        case .boolean(let value): unsafe sqlite3_result_int64(context, value ? 1 : 0)
        case .integer(let value): unsafe sqlite3_result_int64(context, value)
        case .real(let value): unsafe sqlite3_result_double(context, value)
        case .text(var text):
            text.withUTF8 { utf8 in
                unsafe utf8.withMemoryRebound(to: CChar.self) {
                    guard let start = $0.baseAddress else { return unsafe sqlite3_result_zeroblob(context, 0) }
                    unsafe martlet_sqlite3_result_text(context, start, UInt64($0.count))
                }
            }
            if text.isEmpty { unsafe martlet_sqlite3_result_text(context, "", 0) }
        case .blob(let bytes):
            unsafe bytes.withUnsafeBytes {
                guard let start = $0.baseAddress else { return unsafe sqlite3_result_zeroblob(context, 0) }
                unsafe martlet_sqlite3_result_blob(context, start, UInt64($0.count))
            }
        }
    }
}

/// Runs a callee's Swift closure and turns what it throws into SQLite's error and ours.
private class Callee {
    private unowned let hooks: SQLiteHooks

    init(_ hooks: SQLiteHooks) { self.hooks = hooks }

    func answer(_ context: OpaquePointer?, _ body: () throws -> SQLValue) {
        do {
            unsafe SQLiteHooks.answer(context, try body())
        } catch {
            unsafe fail(context, error)
        }
    }

    func fail(_ context: OpaquePointer?, _ error: any Error) {
        let known = error as? DatabaseError ?? DatabaseError(sqlState: "XX000", message: "\(error)")
        hooks.thrown = known
        unsafe sqlite3_result_error(context, known.message, -1)
    }
}

private final class FunctionCallee: Callee {
    let function: SQLiteFunction

    init(_ function: SQLiteFunction, _ hooks: SQLiteHooks) {
        self.function = function
        super.init(hooks)
    }
}

private final class CollationCallee {
    let collation: SQLiteCollation

    init(_ collation: SQLiteCollation) { self.collation = collation }
}

private final class AggregateCallee: Callee {
    private let aggregate: SQLiteAggregate
    /// The states of groups that are open now, by the address of SQLite's own context for the group.
    private var states: [Int: any SQLiteAggregateState] = [:]

    init(_ aggregate: SQLiteAggregate, _ hooks: SQLiteHooks) {
        self.aggregate = aggregate
        super.init(hooks)
    }

    func step(_ context: OpaquePointer?, _ arguments: [SQLValue]) {
        // One byte is enough: only its address is used, as the group's identity.
        guard let address = unsafe sqlite3_aggregate_context(context, 1) else { return }
        let key = Int(bitPattern: address)
        let state = states[key] ?? aggregate.make()
        states[key] = state
        do {
            try state.step(arguments)
        } catch {
            unsafe fail(context, error)
        }
    }

    func finish(_ context: OpaquePointer?) {
        let address = unsafe sqlite3_aggregate_context(context, 0)
        let state = unsafe address.flatMap { states.removeValue(forKey: Int(bitPattern: $0)) } ?? aggregate.make()
        unsafe answer(context) { try state.result() }
    }
}
