// SPDX-License-Identifier: Apache-2.0
// Runs after an order was placed (config.toml, [martlet.triggers.order-placed]) and mails its buyer. As a job it may run
// more than once: the mail's Idempotency-Key makes the repeat the same mail.

type Order = { id: string; owner: string; status: string; total: number };
type Change = { record: Order; old_record: Order | null };
type Line = { quantity: number; products: { name: string; unit: string } };

const url = Deno.env.get("SUPABASE_URL");
const key = Deno.env.get("SUPABASE_SERVICE_ROLE_KEY") ?? "";

/** Calls the backend under the trace of the order, so that one word finds all of it in the logs. */
function call(request: Request, path: string, init: { method?: string; headers?: HeadersInit; body?: string } = {}) {
  const headers = new Headers(init.headers);
  headers.set("apikey", key);
  headers.set("authorization", `Bearer ${key}`);
  const trace = request.headers.get("traceparent");
  if (trace !== null) headers.set("traceparent", trace);
  return fetch(`${url}${path}`, { ...init, headers });
}

/** Anything but success fails the job, which is then tried again. */
async function json(response: Response) {
  if (!response.ok) throw new Error(`${response.url} answered ${response.status}: ${await response.text()}`);
  return await response.json();
}

Deno.serve(async (request) => {
  const { record, old_record }: Change = await request.json();
  if (record.status !== "placed" || old_record?.status === "placed") return new Response(null, { status: 204 });
  const person = await call(request, `/auth/v1/admin/users/${record.owner}`);
  if (person.status === 404) return new Response(null, { status: 204 });
  const buyer: { email: string | null } = await json(person);
  if (!buyer.email) return new Response(null, { status: 204 });
  const lines: Line[] = await json(
    await call(request, `/rest/v1/order_lines?order_id=eq.${record.id}&order=line_no&select=quantity,products(name,unit)`),
  );
  const mail = {
    to: buyer.email,
    template: "order-placed",
    variables: {
      order: record.id.slice(0, 8),
      total: Number(record.total).toFixed(2),
      lines: lines.map(({ quantity, products }) => ({ quantity, name: products.name, unit: products.unit })),
    },
  };
  const headers = { "content-type": "application/json", "idempotency-key": `order-placed-${record.id}` };
  await json(await call(request, "/notification/v1/mail", { method: "POST", headers, body: JSON.stringify(mail) }));
  return Response.json({ mailed: true });
});
