// SPDX-License-Identifier: Apache-2.0

/// What stands before an application's first migration, as on Supabase: schemas, roles, `auth.users`, privileges.
package enum Platform {
    /// Schemas that the application may refer to and not change.
    package static let schemas: Set<String> = ["auth", "storage", "realtime", "extensions"]
    static let publication = "supabase_realtime"

    /// Roles that exist from the start.
    package static let roles: [String: Role] = [
        "anon": Role(), "authenticated": Role(), "service_role": Role(bypassesRowSecurity: true),
        "authenticator": Role(), "postgres": Role(bypassesRowSecurity: true),
        "supabase_admin": Role(bypassesRowSecurity: true),
        "supabase_auth_admin": Role(), "supabase_storage_admin": Role(), "supabase_realtime_admin": Role(),
        "dashboard_user": Role(),
    ]

    /// The tables and privileges, in PostgreSQL's SQL. `auth.users` has Supabase's columns (D25).
    package static let sql = """
        grant usage on schema public to public, anon, authenticated, service_role;
        grant usage on schema auth, storage, realtime, extensions to anon, authenticated, service_role, postgres;
        alter default privileges in schema public grant all on tables to anon, authenticated, service_role;

        create table auth.users (
            instance_id uuid,
            id uuid not null primary key,
            aud varchar(255),
            role varchar(255),
            email varchar(255),
            encrypted_password varchar(255),
            email_confirmed_at timestamptz,
            invited_at timestamptz,
            confirmation_token varchar(255),
            confirmation_sent_at timestamptz,
            recovery_token varchar(255),
            recovery_sent_at timestamptz,
            email_change_token_new varchar(255),
            email_change varchar(255),
            email_change_sent_at timestamptz,
            last_sign_in_at timestamptz,
            raw_app_meta_data jsonb,
            raw_user_meta_data jsonb,
            is_super_admin boolean,
            created_at timestamptz,
            updated_at timestamptz,
            phone text unique,
            phone_confirmed_at timestamptz,
            phone_change text default '',
            phone_change_token varchar(255) default '',
            phone_change_sent_at timestamptz,
            email_change_token_current varchar(255) default '',
            email_change_confirm_status smallint default 0
                check (email_change_confirm_status >= 0 and email_change_confirm_status <= 2),
            banned_until timestamptz,
            reauthentication_token varchar(255) default '',
            reauthentication_sent_at timestamptz,
            is_sso_user boolean not null default false,
            deleted_at timestamptz,
            is_anonymous boolean not null default false
        );
        create unique index users_email_partial_key on auth.users (email) where is_sso_user = false;
        create index users_instance_id_idx on auth.users (instance_id);
        create index users_is_anonymous_idx on auth.users (is_anonymous);
        comment on table auth.users is 'Auth: Stores user login data within a secure schema.';
        alter table auth.users enable row level security;
        grant all on auth.users to postgres, dashboard_user;
        """

    /// The catalogue before the first migration, and the steps that make its tables on SQLite.
    package static func catalog() throws -> (Catalog, [TranslatedStep]) {
        let empty = Catalog(
            schemas: ["public"] + schemas.sorted(), roles: roles,
            schemaUsage: Dictionary(uniqueKeysWithValues: (["public"] + schemas.sorted()).map { ($0, []) }))
        let translator = StatementTranslator(catalog: empty, isPlatform: true)
        for statement in try SQLParser.statements(of: SourceText(sql)) { try translator.translate(statement.node) }
        translator.catalog.version = 1
        return (translator.catalog, translator.steps)
    }
}
