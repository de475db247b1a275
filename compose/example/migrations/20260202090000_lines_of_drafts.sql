-- Lines are written while their order is a draft. What was placed has a total and has taken its stock: a line that
-- changes afterwards would make both wrong. Whoever wants another order makes it a draft again first, which gives the
-- stock back. The service role is not bound by this.
create policy "lines are added to drafts" on order_lines as restrictive for insert to authenticated
    with check (exists (select 1 from orders o where o.id = order_lines.order_id and o.status = 'draft'));

create policy "lines of drafts are changed" on order_lines as restrictive for update to authenticated
    using (exists (select 1 from orders o where o.id = order_lines.order_id and o.status = 'draft'))
    with check (exists (select 1 from orders o where o.id = order_lines.order_id and o.status = 'draft'));

create policy "lines of drafts are removed" on order_lines as restrictive for delete to authenticated
    using (exists (select 1 from orders o where o.id = order_lines.order_id and o.status = 'draft'));
