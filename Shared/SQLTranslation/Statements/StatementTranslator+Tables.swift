// SPDX-License-Identifier: Apache-2.0

extension StatementTranslator {
    func createTable(_ node: ParseNode) throws {
        try node.allow("relation", "tableElts", "oncommit", "if_not_exists")
        let isOptional = node.flag("if_not_exists")
        guard let name = try newRelationName(node.bare("relation", as: "RangeVar"), ifNotExists: isOptional) else {
            return
        }
        var table = Relation(name: name, owner: isPlatform ? "supabase_\(name.schema)_admin" : Self.owner)
        table.grants = catalog.defaultPrivileges[name.schema] ?? [:]
        let elements = node.list("tableElts")
        // Columns first: constraints may speak about any of them.
        for element in elements {
            guard element.kind == "ColumnDef" else { continue }
            table.columns.append(try column(element, of: table))
        }
        for element in elements {
            switch element.kind {
            case "ColumnDef": try columnConstraints(element, &table)
            case "Constraint": try add(element, column: nil, to: &table)
            default:
                throw TranslationFault(
                    "\(ParseNode.words(element.kind)) in CREATE TABLE is not translated", at: element.location)
            }
        }
        guard !table.columns.isEmpty else {
            throw TranslationFault("a table without columns is not translated", at: node.location)
        }
        catalog.relations[name] = table
        emit(try TableDefinition(relation: table, texts: texts).create())
    }

    /// A column's name and type, and what follows from them alone.
    func column(_ node: ParseNode, of table: Relation) throws -> Column {
        try node.allow("colname", "typeName", "is_local", "constraints", "collClause")
        let name = node.string("colname") ?? ""
        guard table.column(name) == nil else {
            throw TranslationFault(
                "column \"\(name)\" specified more than once", at: node.location, sqlState: "42701")
        }
        guard let typeName = node.bare("typeName", as: "TypeName") else {
            throw TranslationFault("a column without a type", at: node.location, sqlState: "42601")
        }
        if let clause = node.bare("collClause", as: "CollateClause") {
            let collation = clause.strings("collname").last ?? ""
            guard ["C", "POSIX", "default", "C.UTF-8", "ucs_basic"].contains(collation) else {
                throw TranslationFault("collation \"\(collation)\" is not translated", at: clause.location)
            }
        }
        if let integer = TypeResolver.serial(typeName) {
            // serial is an identity to everybody but pg_dump.
            return Column(name: name, type: integer, notNull: true, identity: .byDefault)
        }
        return Column(name: name, type: try TypeResolver(names: names).type(typeName))
    }

    func columnConstraints(_ node: ParseNode, _ table: inout Relation) throws {
        let name = node.string("colname") ?? ""
        for constraint in node.list("constraints") { try add(constraint, column: name, to: &table) }
    }

    /// Adds a constraint, of a column or of the table, to the table's record.
    func add(_ node: ParseNode, column: String?, to table: inout Relation) throws {
        guard node.string("contype") != "CONSTR_EXCLUSION" else {
            throw TranslationFault("EXCLUDE constraints are not translated", at: node.location)
        }
        try node.allow(
            "contype", "conname", "raw_expr", "keys", "generated_when", "pktable", "pk_attrs", "fk_attrs",
            "fk_matchtype", "fk_upd_action", "fk_del_action", "initially_valid", "skip_validation", "deferrable",
            "initdeferred", "options", "is_no_inherit")
        let index = column.flatMap { name in table.columns.firstIndex { $0.name == name } }
        switch node.string("contype") {
        case "CONSTR_NULL", nil: return
        case "CONSTR_NOTNULL":
            if let index { table.columns[index].notNull = true }
        case "CONSTR_DEFAULT":
            guard let index else { return }
            try setDefault(node.node("raw_expr"), of: index, in: &table)
        case "CONSTR_IDENTITY":
            guard let index else { return }
            guard table.columns[index].type.isInteger else {
                throw TranslationFault(
                    "identity column type must be smallint, integer, or bigint", at: node.location, sqlState: "22023")
            }
            try checkSequence(node)
            table.columns[index].identity = node.string("generated_when") == "a" ? .always : .byDefault
            table.columns[index].notNull = true
        case "CONSTR_GENERATED":
            guard let index else { return }
            let reading = try texts.read(node.node("raw_expr"), on: table, as: table.columns[index].type)
            _ = try texts.definition(reading.expression)
            table.columns[index].generatedExpression = reading.text
        case "CONSTR_CHECK": try addCheck(node, column: column, to: &table)
        case "CONSTR_PRIMARY", "CONSTR_UNIQUE": try addKey(node, column: column, to: &table)
        case "CONSTR_FOREIGN": try addForeignKey(node, column: column, to: &table)
        case "CONSTR_ATTR_DEFERRABLE", "CONSTR_ATTR_NOT_DEFERRABLE", "CONSTR_ATTR_DEFERRED", "CONSTR_ATTR_IMMEDIATE":
            // Behind a column's constraint these come as items of their own.
            guard let column, let key = table.foreignKeys.indices.last, table.foreignKeys[key].columns == [column]
            else {
                throw TranslationFault("deferrable keys are not translated", at: node.location)
            }
            switch node.string("contype") {
            case "CONSTR_ATTR_DEFERRABLE": table.foreignKeys[key].isDeferrable = true
            case "CONSTR_ATTR_DEFERRED":
                table.foreignKeys[key].isDeferrable = true
                table.foreignKeys[key].isInitiallyDeferred = true
            default: break
            }
        default: throw TranslationFault("this constraint is not translated", at: node.location)
        }
    }

    /// The options of an identity's sequence, as far as they say what is so anyway; dumps write them all.
    private func checkSequence(_ node: ParseNode) throws(TranslationFault) {
        for option in node.list("options") {
            let value = option.node("arg")?.integer("ival")
            switch option.string("defname") {
            case "sequence_name", "cache": continue
            case "start" where value == 1, "increment" where value == 1: continue
            case "minvalue" where value ?? 1 == 1: continue
            case "maxvalue" where value == nil: continue
            case "cycle" where option.node("arg")?.flag("boolval") != true: continue
            default: throw TranslationFault("this option of an identity is not translated", at: option.location)
            }
        }
    }

    func setDefault(_ node: ParseNode?, of index: Int, in table: inout Relation) throws {
        let column = table.columns[index]
        guard column.generatedExpression == nil, column.identity == .none else {
            throw TranslationFault(
                "column \"\(column.name)\" of relation \"\(table.name.name)\" is a generated or identity column",
                at: node?.location, sqlState: "42601")
        }
        let reading = try texts.read(node, on: nil, as: column.type)
        guard !reading.expression.hasSubquery else {
            throw TranslationFault(
                "cannot use subquery in DEFAULT expression", at: node?.location, sqlState: "0A000")
        }
        // DEFAULT NULL is no default.
        table.columns[index].defaultExpression = reading.expression.isNullLiteral ? nil : reading.text
    }

    private func addCheck(_ node: ParseNode, column: String?, to table: inout Relation) throws {
        let condition = node.node("raw_expr")
        let reading = try texts.condition(condition, on: table, takesSubqueries: false)
        var columns: Set<String> = []
        collectColumns(of: reading.expression, into: &columns)
        let single = columns.count == 1 ? columns.first ?? "" : ""
        let name = try constraintName(node, in: table) {
            ConstraintNames.choose(table.name.name, column ?? single, "check", isTaken: table.constraintNames.contains)
        }
        table.checks.append(CheckConstraint(name: name, expression: reading.text))
        _ = try texts.definition(reading.expression)
    }

    private func collectColumns(of expression: TypedExpression, into columns: inout Set<String>) {
        if case .column(let name, _) = expression.node { columns.insert(name) }
        for child in expression.children { collectColumns(of: child, into: &columns) }
    }

    private func constraintName(
        _ node: ParseNode, in table: Relation, otherwise: () -> String
    ) throws(TranslationFault) -> String {
        guard let name = node.string("conname") else { return otherwise() }
        guard !table.constraintNames.contains(name) else {
            throw TranslationFault(
                "constraint \"\(name)\" for relation \"\(table.name.name)\" already exists", at: node.location,
                sqlState: "42710")
        }
        return name
    }

    private func addKey(_ node: ParseNode, column: String?, to table: inout Relation) throws {
        let isPrimary = node.string("contype") == "CONSTR_PRIMARY"
        guard !node.flag("deferrable") else {
            throw TranslationFault("deferrable keys are not translated", at: node.location)
        }
        let columns = column.map { [$0] } ?? node.strings("keys")
        try requireColumns(columns, of: table, at: node.location)
        for name in columns {
            guard let type = table.column(name)?.type, ![.json, .interval].contains(type.base) || type.isArray else {
                throw TranslationFault(
                    "a key over column \"\(name)\" of this type is not translated", at: node.location)
            }
        }
        if isPrimary, table.primaryKey != nil {
            throw TranslationFault(
                "multiple primary keys for table \"\(table.name.name)\" are not allowed", at: node.location,
                sqlState: "42P16")
        }
        let taken = table.constraintNames
        let schema = table.name.schema
        let isTaken = { (name: String) in
            taken.contains(name) || self.isRelationName(QualifiedName(schema, name))
        }
        let name = try constraintName(node, in: table) {
            isPrimary
                ? ConstraintNames.choose(table.name.name, "", "pkey", isTaken: isTaken)
                : ConstraintNames.choose(table.name.name, columns.joined(separator: "_"), "key", isTaken: isTaken)
        }
        let key = KeyConstraint(name: name, columns: columns)
        guard isPrimary else {
            table.uniques.append(key)
            return
        }
        table.primaryKey = key
        for index in table.columns.indices where columns.contains(table.columns[index].name) {
            table.columns[index].notNull = true
        }
    }

    func isRelationName(_ name: QualifiedName) -> Bool { catalog.relations[name] != nil || isIndex(name) }

    func requireColumns(_ columns: [String], of table: Relation, at location: Int?) throws(TranslationFault) {
        for name in columns where table.column(name) == nil {
            throw TranslationFault(
                "column \"\(name)\" named in key does not exist", at: location, sqlState: "42703")
        }
    }

    private func addForeignKey(_ node: ParseNode, column: String?, to table: inout Relation) throws {
        guard let targetNode = node.bare("pktable", as: "RangeVar") else {
            throw TranslationFault("a foreign key without a target", at: node.location, sqlState: "42601")
        }
        guard node.string("fk_matchtype") ?? "s" == "s" else {
            throw TranslationFault("MATCH FULL is not translated", at: node.location)
        }
        let columns = column.map { [$0] } ?? node.strings("fk_attrs")
        try requireColumns(columns, of: table, at: node.location)
        let targetName = try names.relationName(targetNode)
        let target = targetName == table.name ? table : try names.relation(targetNode)
        var targetColumns = node.strings("pk_attrs")
        if targetColumns.isEmpty { targetColumns = target.primaryKey?.columns ?? [] }
        try requireColumns(targetColumns, of: target, at: targetNode.location)
        guard target.kind == .table, target.hasKey(targetColumns), !targetColumns.isEmpty else {
            throw TranslationFault(
                "there is no unique constraint matching given keys for referenced table \"\(target.name.name)\"",
                at: targetNode.location, sqlState: "42830")
        }
        guard columns.count == targetColumns.count else {
            throw TranslationFault(
                "number of referencing and referenced columns for foreign key disagree", at: node.location,
                sqlState: "42830")
        }
        for (own, other) in zip(columns, targetColumns) {
            guard let first = table.column(own)?.type, let second = target.column(other)?.type,
                Self.refer(first, second)
            else {
                throw TranslationFault(
                    "key columns \"\(own)\" and \"\(other)\" are of incompatible types", at: node.location,
                    sqlState: "42804")
            }
        }
        let name = try constraintName(node, in: table) {
            ConstraintNames.choose(
                table.name.name, columns.joined(separator: "_"), "fkey", isTaken: table.constraintNames.contains)
        }
        table.foreignKeys.append(
            ForeignKey(
                name: name, columns: columns, target: target.name, targetColumns: targetColumns,
                onDelete: Self.action(node.string("fk_del_action")),
                onUpdate: Self.action(node.string("fk_upd_action")),
                isDeferrable: node.flag("deferrable"), isInitiallyDeferred: node.flag("initdeferred")))
    }

    /// Whether equal keys have equal forms on disk.
    private static func refer(_ first: ColumnType, _ second: ColumnType) -> Bool {
        if first.isInteger, second.isInteger { return true }
        if first.isText, second.isText { return true }
        return first.isSame(as: second) && first.storedScale == second.storedScale
    }

    private static func action(_ code: String?) -> ForeignKey.Action {
        switch code {
        case "c": .cascade
        case "n": .setNull
        case "d": .setDefault
        case "r": .restrict
        default: .noAction
        }
    }
}
