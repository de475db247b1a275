// SPDX-License-Identifier: Apache-2.0

import MartletData
import MartletDatabase
import Testing

/// What a schema says beyond plain columns: actions of keys, identities, generated columns, junctions, views.
@Suite("Schemas on both engines")
struct SchemaConformanceTests {
    typealias Step = RestConformanceTests.Step

    private static func check(_ engine: DatabaseEngine, _ sql: String, _ steps: [Step]) async throws {
        let project = TestProject()
        try await TestEngine.with(engine, migrations: [project.named(sql)]) { test in
            for step in steps {
                let reply = await test.send(
                    step.method, project.named(step.target), as: step.caller, project.named(step.body),
                    prefer: step.prefer, accept: step.accept)
                let place: Comment = "\(step.method) \(step.target): \(reply.text)"
                #expect(reply.status == step.status, place)
                if let expected = step.reply { #expect(reply.text == project.named(expected), place) }
            }
        }
    }

    @Test("Actions of foreign keys reach every level", arguments: TestDatabaseEngines.all)
    func actions(_ engine: DatabaseEngine) async throws {
        try await Self.check(
            engine,
            """
            create table @a (id integer primary key, up integer references @a (id) on delete cascade);
            create table @b (id integer primary key, a integer references @a (id) on delete set null on update cascade);
            create table @c (id integer primary key, a integer default 1 references @a (id) on delete set default);
            create table @d (id integer primary key, b integer not null references @b (id) on delete restrict);
            create table @e (id integer primary key, a integer not null references @a (id) on delete set null);
            insert into @a values (1, null), (2, 1), (3, 2), (4, null), (5, null), (6, 6);
            insert into @b values (1, 3), (2, 4);
            insert into @c values (1, 4);
            insert into @d values (1, 2);
            insert into @e values (1, 5);
            """,
            [
                Step(method: "DELETE", target: "/@a?id=eq.4", caller: .service, status: 204),
                Step(
                    target: "/@b?order=id", caller: .service, status: 200,
                    reply: #"[{"id":1,"a":3},{"id":2,"a":null}]"#),
                Step(target: "/@c", caller: .service, status: 200, reply: #"[{"id":1,"a":1}]"#),
                Step(method: "PATCH", target: "/@a?id=eq.3", caller: .service, body: #"{"id":30}"#, status: 204),
                Step(target: "/@b?id=eq.1", caller: .service, status: 200, reply: #"[{"id":1,"a":30}]"#),
                Step(method: "DELETE", target: "/@b?id=eq.2", caller: .service, status: 409),
                Step(
                    method: "DELETE", target: "/@a?id=eq.5", caller: .service, status: 400,
                    reply: """
                        {"code":"23502","details":"Failing row contains (1, null).","hint":null,"message":"null value in \
                        column \\"a\\" of relation \\"@e\\" violates not-null constraint"}
                        """),
                Step(method: "PATCH", target: "/@c?id=eq.1", caller: .service, body: #"{"a":2}"#, status: 204),
                Step(method: "DELETE", target: "/@a?id=eq.2", caller: .service, status: 204),
                Step(
                    target: "/@a?select=id&order=id", caller: .service, status: 200,
                    reply: #"[{"id":1},{"id":5},{"id":6}]"#),
                Step(target: "/@b?id=eq.1", caller: .service, status: 200, reply: #"[{"id":1,"a":null}]"#),
                Step(method: "DELETE", target: "/@a?id=eq.6", caller: .service, status: 204),
                Step(
                    method: "POST", target: "/@a", caller: .service,
                    body: #"[{"id":8,"up":9},{"id":9,"up":8}]"#, status: 201),
            ])
    }

    @Test("Identities count, generated columns follow, defaults apply", arguments: TestDatabaseEngines.all)
    func columns(_ engine: DatabaseEngine) async throws {
        try await Self.check(
            engine,
            """
            create table @a (
                id bigint generated always as identity primary key, name text default 'x' || 'y',
                price numeric(8, 2) not null default 1.5, amount integer not null default 2,
                total numeric(12, 2) generated always as (price * amount) stored,
                at timestamptz not null default now(), key uuid not null default gen_random_uuid());
            create table @s (id serial primary key, big numeric, doc jsonb);
            """,
            [
                Step(
                    method: "POST", target: "/@a?select=id,name,price,total", caller: .service, body: "[{},{}]",
                    prefer: "return=representation", status: 201,
                    reply: """
                        [{"id":1,"name":"xy","price":1.50,"total":3.00},{"id":2,"name":"xy","price":1.50,"total":3.00}]
                        """),
                Step(
                    method: "PATCH", target: "/@a?id=eq.1&select=total", caller: .service,
                    body: #"{"price":2.25,"amount":3}"#, prefer: "return=representation", status: 200,
                    reply: #"[{"total":6.75}]"#),
                Step(
                    target: "/@a?select=total&total=gt.6.7&price=eq.2.250", caller: .service, status: 200,
                    reply: #"[{"total":6.75}]"#),
                Step(
                    target: "/@a?select=id&price=lt.2.2555&order=id", caller: .service, status: 200,
                    reply: #"[{"id":1},{"id":2}]"#),
                Step(target: "/@a?select=id&price=eq.2.2555", caller: .service, status: 200, reply: "[]"),
                Step(target: "/@a?select=id&at=is.null", caller: .service, status: 200, reply: "[]"),
                Step(
                    method: "POST", target: "/@a", caller: .service, body: #"{"id":7}"#, status: 400,
                    reply: """
                        {"code":"428C9","details":"Column \\"id\\" is an identity column defined as GENERATED ALWAYS.",\
                        "hint":"Use OVERRIDING SYSTEM VALUE to override.","message":"cannot insert a non-DEFAULT value \
                        into column \\"id\\""}
                        """),
                Step(
                    method: "POST", target: "/@s?select=id,big,doc", caller: .service,
                    body: """
                        [{"big":12345678901234567890.10,"doc":{"n":10}},{"big":"9","doc":{"n":9}},{"big":null,"doc":null}]
                        """, prefer: "return=representation", status: 201,
                    reply: """
                        [{"id":1,"big":12345678901234567890.10,"doc":{"n": 10}},{"id":2,"big":9,"doc":{"n": 9}},\
                        {"id":3,"big":null,"doc":null}]
                        """),
                Step(
                    target: "/@s?select=id&order=big", caller: .service, status: 200,
                    reply: #"[{"id":2},{"id":1},{"id":3}]"#),
                Step(
                    target: "/@s?select=id&order=doc-%3En.desc.nullslast", caller: .service, status: 200,
                    reply: #"[{"id":1},{"id":2},{"id":3}]"#),
                Step(target: "/@s?select=id&doc-%3En=gt.9", caller: .service, status: 200, reply: #"[{"id":1}]"#),
                Step(target: "/@s?select=id&big=eq.9.0", caller: .service, status: 200, reply: #"[{"id":2}]"#),
                Step(
                    target: "/@s?select=doc-%3En::int,big::text&id=eq.1", caller: .service, status: 200,
                    reply: #"[{"n":10,"big":"12345678901234567890.10"}]"#),
                Step(target: "/@s?select=id::nope", caller: .service, status: 400),
            ])
    }

    @Test("Junctions embed, self references go both ways, two keys are ambiguous", arguments: TestDatabaseEngines.all)
    func relationships(_ engine: DatabaseEngine) async throws {
        try await Self.check(
            engine,
            """
            create table @u (id integer primary key, name text, boss integer references @u (id));
            create table @g (id integer primary key, name text);
            create table @ug (u integer references @u (id), g integer references @g (id), primary key (u, g));
            create table @m (
                id integer primary key, sender integer references @u (id), receiver integer references @u (id));
            insert into @u values (1, 'ann', null), (2, 'bob', 1), (3, 'cy', 1);
            insert into @g values (1, 'red'), (2, 'blue');
            insert into @ug values (1, 1), (1, 2), (2, 2);
            insert into @m values (1, 1, 2);
            """,
            [
                Step(
                    target: "/@u?select=name,@g(name)&order=id&@g.order=name", caller: .service, status: 200,
                    reply: """
                        [{"name":"ann","@g":[{"name":"blue"},{"name":"red"}]},{"name":"bob","@g":[{"name":"blue"}]},\
                        {"name":"cy","@g":[]}]
                        """),
                Step(
                    target: "/@u?select=name,@g!inner(name)&@g.name=eq.red", caller: .service, prefer: "count=exact",
                    status: 200, reply: #"[{"name":"ann","@g":[{"name":"red"}]}]"#),
                Step(
                    target: "/@u?select=name,boss(name),team:@u(name)&order=id&team.order=name.desc", caller: .service,
                    status: 200,
                    reply: """
                        [{"name":"ann","boss":null,"team":[{"name":"cy"},{"name":"bob"}]},\
                        {"name":"bob","boss":{"name":"ann"},"team":[]},{"name":"cy","boss":{"name":"ann"},"team":[]}]
                        """),
                Step(
                    target: "/@m?select=id,sender(name),r:@u!receiver(name)", caller: .service, status: 200,
                    reply: #"[{"id":1,"sender":{"name":"ann"},"r":{"name":"bob"}}]"#),
                Step(target: "/@m?select=id,@u(name)", caller: .service, status: 300),
            ])
    }

    @Test("Views show what their reader may see", arguments: TestDatabaseEngines.all)
    func views(_ engine: DatabaseEngine) async throws {
        try await Self.check(
            engine,
            """
            create table @n (id integer primary key, owner uuid, text text);
            alter table @n enable row level security;
            create policy p on @n for all using (owner = auth.uid()) with check (owner = auth.uid());
            create policy r on @n as restrictive for insert with check (text <> 'bad');
            create view @v with (security_invoker = true) as select id, upper(text) as loud from @n;
            create view @open as select count(*) as total from @n;
            insert into @n values
                (1, '\(TestEngine.alice)', 'one'), (2, '\(TestEngine.bob)', 'two');
            """,
            [
                Step(target: "/@v", status: 200, reply: #"[{"id":1,"loud":"ONE"}]"#),
                Step(
                    target: "/@v?loud=eq.TWO&select=id", caller: RestConformanceTests.bob, status: 200,
                    reply: #"[{"id":2}]"#),
                Step(target: "/@v", caller: .anonymous, status: 200, reply: "[]"),
                Step(target: "/@open", caller: .anonymous, status: 200, reply: #"[{"total":2}]"#),
                Step(
                    method: "POST", target: "/@n", body: #"{"id":3,"owner":"\#(TestEngine.alice)","text":"bad"}"#,
                    status: 403),
                Step(
                    method: "POST", target: "/@n", body: #"{"id":3,"owner":"\#(TestEngine.alice)","text":"good"}"#,
                    status: 201),
                Step(target: "/@v?select=id&order=id.desc", status: 200, reply: #"[{"id":3},{"id":1}]"#),
            ])
    }
}
