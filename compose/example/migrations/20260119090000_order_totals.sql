-- What an order comes to, computed when it is placed. The rule place-order alone sets it: buyers may not.
alter table orders add column total numeric(12, 2) not null default 0;

revoke insert, update on orders from authenticated;
grant insert (id, owner, customer_id, status, note, placed_at) on orders to authenticated;
grant update (id, owner, customer_id, status, note, placed_at) on orders to authenticated;
