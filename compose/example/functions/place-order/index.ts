// SPDX-License-Identifier: Apache-2.0
// The rule of orders (docs/guides/rules.md): an order that is placed gets its total and takes its stock, one that is
// called off gives it back. What it returns happens in the order's own transaction, or not at all.

type Product = { id: number; name: string; price: number };
type Line = { quantity: number; products: Product };
type Row = { status: string | null };
type Event = { record: Row | null; old_record: Row | null; reads: { lines: Line[] } | null; rows: unknown[] };

/** Quantities by product, in the order of their ids, so that two orders never wait for each other crosswise. */
function quantities(lines: Line[]): { product: Product; quantity: number }[] {
  const sums = new Map<number, { product: Product; quantity: number }>();
  for (const line of lines) {
    const sum = sums.get(line.products.id) ?? { product: line.products, quantity: 0 };
    sum.quantity += line.quantity;
    sums.set(line.products.id, sum);
  }
  return [...sums.values()].sort((left, right) => left.product.id - right.product.id);
}

/** Money is counted in cents: sums of decimal fractions are not exact. */
function total(lines: Line[]): string {
  const cents = lines.reduce((sum, line) => sum + line.quantity * Math.round(line.products.price * 100), 0);
  return (cents / 100).toFixed(2);
}

function refusal(code: string, message: string) {
  return { error: { status: 409, code, message } };
}

function decide(event: Event) {
  if (event.rows.length !== 1) {
    const touches = (event.rows as Event[]).some((row) => isPlaced(row.record) || isPlaced(row.old_record));
    return touches ? refusal("one_order_at_a_time", "Place and change placed orders one at a time.") : {};
  }
  const lines = event.reads?.lines ?? [];
  if (isPlaced(event.record) && !isPlaced(event.old_record)) {
    if (lines.length === 0) return refusal("order_is_empty", "An order needs a line before it is placed.");
    return {
      record: { total: total(lines) },
      statements: quantities(lines).map(({ product, quantity }) => ({
        update: `products?id=eq.${product.id}&stock=gte.${quantity}`,
        add: { stock: -quantity },
        expect: 1,
        else: { status: 409, code: "out_of_stock", message: `There are not ${quantity} of "${product.name}" in stock.` },
      })),
    };
  }
  if (isPlaced(event.old_record) && !isPlaced(event.record) && event.record?.status !== "shipped") {
    return {
      statements: quantities(lines).map(({ product, quantity }) => ({
        update: `products?id=eq.${product.id}`,
        add: { stock: quantity },
        expect: 1,
      })),
    };
  }
  return {};
}

function isPlaced(row: Row | null): boolean {
  return row?.status === "placed";
}

Deno.serve(async (request) => Response.json(decide(await request.json())));
