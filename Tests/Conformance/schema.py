# SPDX-License-Identifier: Apache-2.0
"""A project whose table and column names are drawn at random: nothing in the services can know them."""

import pathlib
import random


class RandomSchema:
    """Notes with an owner, and remarks below them."""

    def __init__(self, seed: int):
        self.seed = seed
        self._random = random.Random(seed)
        self._taken = set()
        self.parent, self.child = self._word(), self._word()
        self.id, self.owner, self.title, self.amount, self.extra, self.moment = (self._word() for _ in range(6))
        self.child_id, self.parent_id, self.text = (self._word() for _ in range(3))

    def _word(self) -> str:
        """A plain identifier, or one that has to be quoted."""
        letters = "abcdefghijklmnopqrstuvwxyz"
        while True:
            word = "".join(self._random.choice(letters) for _ in range(self._random.randint(5, 12)))
            if self._random.random() < 0.3:
                word = word[0].upper() + word[1:]
            if word.lower() not in self._taken:
                self._taken.add(word.lower())
                return word

    def write(self, project: pathlib.Path):
        q = {name: f'"{value}"' for name, value in vars(self).items() if isinstance(value, str)}
        (project / "migrations").mkdir(parents=True)
        (project / "config.toml").write_text('project_id = "drawn"\n')
        (project / "migrations/20260101000000_first.sql").write_text(f"""
create table {q['parent']} (
    {q['id']} bigint generated always as identity primary key,
    {q['owner']} uuid not null default auth.uid() references auth.users (id) on delete cascade,
    {q['title']} text not null check (length({q['title']}) > 0),
    {q['amount']} numeric(12, 3),
    {q['extra']} jsonb not null default '{{}}',
    {q['moment']} timestamptz not null default now(),
    unique ({q['owner']}, {q['title']})
);
alter table {q['parent']} enable row level security;
create policy "own" on {q['parent']} for all to authenticated
    using ({q['owner']} = auth.uid()) with check ({q['owner']} = auth.uid());
""")
        (project / "migrations/20260102000000_second.sql").write_text(f"""
create table {q['child']} (
    {q['child_id']} uuid primary key default gen_random_uuid(),
    {q['parent_id']} bigint not null references {q['parent']} ({q['id']}) on delete cascade,
    {q['text']} text
);
alter table {q['child']} enable row level security;
create policy "of own" on {q['child']} for all to authenticated
    using (exists (select 1 from {q['parent']} p where p.{q['id']} = {q['child']}.{q['parent_id']} and p.{q['owner']} = auth.uid()))
    with check (exists (select 1 from {q['parent']} p where p.{q['id']} = {q['child']}.{q['parent_id']} and p.{q['owner']} = auth.uid()));
""")
