// The order desk's page: plain requests to /auth/v1 and /rest/v1, as any client library makes them, and live rows.
import { watch } from "./live.js";

const pageSize = 12;
const state = { key: "", session: load("session"), page: 0, total: 0, basket: new Map(), live: null };

const $ = (id) => document.getElementById(id);

function load(name) {
  try { return JSON.parse(localStorage.getItem(name)); } catch { return null; }
}

function say(text, bad = false) {
  $("message").textContent = text;
  $("message").classList.toggle("bad", bad);
}

function keep(session) {
  state.session = session;
  if (session) localStorage.setItem("session", JSON.stringify(session));
  else localStorage.removeItem("session");
  clearTimeout(state.renewal);
  // Well before the token ends, so that neither a request nor the live rows ever meet an old one.
  if (session) state.renewal = setTimeout(guarded(refresh), Math.max(0, session.expires_at * 1000 - Date.now()) * 0.8);
}

async function call(path, { method = "GET", body, prefer, retried = false } = {}) {
  const headers = { apikey: state.key, Authorization: `Bearer ${state.session?.access_token ?? state.key}` };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  if (prefer) headers.Prefer = prefer;
  const response = await fetch(path, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) });
  const text = await response.text();
  const value = text ? JSON.parse(text) : null;
  if (response.status === 401 && state.session && !retried && path.startsWith("/rest/")) {
    if (await refresh()) return call(path, { method, body, prefer, retried: true });
  }
  if (!response.ok) {
    const error = new Error(value?.message ?? value?.msg ?? `The server answered ${response.status}.`);
    error.code = value?.code ?? value?.error_code;
    throw error;
  }
  return { value, range: response.headers.get("content-range") };
}

async function refresh() {
  // Another window may have renewed it; an old refresh token would end the session.
  const token = (load("session") ?? state.session).refresh_token;
  const response = await fetch("/auth/v1/token?grant_type=refresh_token", {
    method: "POST",
    headers: { apikey: state.key, "Content-Type": "application/json" },
    body: JSON.stringify({ refresh_token: token }),
  });
  keep(response.ok ? await response.json() : null);
  show();
  if (!response.ok) watchRows();
  else state.live?.renew();
  return response.ok;
}

const money = (cents) => (cents / 100).toLocaleString(undefined, { minimumFractionDigits: 2 });
const cents = (price) => Math.round(Number(price) * 100);

function element(name, text, attributes = {}) {
  const node = document.createElement(name);
  if (text !== undefined) node.textContent = text;
  Object.assign(node, attributes);
  return node;
}

async function listProducts() {
  const form = new FormData($("search"));
  const query = new URLSearchParams({
    select: "id,sku,name,price,stock,unit", discontinued: "is.false", order: "name.asc,id.asc",
    limit: pageSize, offset: state.page * pageSize,
  });
  const text = form.get("text").trim();
  if (text) query.set("name", `ilike.*${text}*`);
  if (form.get("category")) query.set("category", `eq.${form.get("category")}`);
  const { value, range } = await call(`/rest/v1/products?${query}`, { prefer: "count=exact" });
  state.total = Number(range?.split("/")[1] ?? 0);
  $("products").replaceChildren(...value.map((product) => {
    const row = element("tr", undefined, { id: `product-${product.id}` });
    const add = element("button", "Add", { type: "button", disabled: product.stock === 0 });
    add.setAttribute("aria-label", `Add ${product.name}`);
    add.addEventListener("click", () => putInBasket(product));
    const cell = element("td");
    cell.append(add);
    row.append(
      element("td", product.sku), element("td", product.name),
      element("td", money(cents(product.price)), { className: "number" }),
      element("td", `${product.stock} ${product.unit}`, { className: "number" }), cell);
    return row;
  }));
  const pages = Math.max(1, Math.ceil(state.total / pageSize));
  $("page").textContent = `Page ${state.page + 1} of ${pages}, ${state.total} products`;
  $("previous").disabled = state.page === 0;
  $("next").disabled = state.page + 1 >= pages;
}

// What others buy and the desk receives shows at once: stock and price in the list, the state of one's own orders.
function watchRows() {
  state.live?.end();
  state.live = watch({
    key: state.key, tables: state.session ? ["products", "orders"] : ["products"],
    token: () => state.session?.access_token ?? state.key,
    onState: (text) => { $("live").textContent = text === "live" ? "Live" : "Connecting …"; },
    onChange: ({ table, record }) => (table === "products" ? showStock(record) : soon(listMine)),
  });
}

function showStock(product) {
  const row = product && $(`product-${product.id}`);
  if (!row) return;
  row.children[2].textContent = money(cents(product.price));
  row.children[3].textContent = `${product.stock} ${product.unit}`;
  row.querySelector("button").disabled = product.stock === 0;
}

// Several changes in a row ask for the list once.
let waiting = null;
function soon(work) {
  waiting ??= setTimeout(() => { waiting = null; guarded(work)(); }, 50);
}

async function listCategories() {
  const { value } = await call("/rest/v1/products?select=category&order=category.asc");
  for (const category of new Set(value.map((row) => row.category))) {
    $("search").elements.category.append(element("option", category, { value: category }));
  }
}

function putInBasket(product) {
  const line = state.basket.get(product.id) ?? { product, quantity: 0 };
  line.quantity += 1;
  state.basket.set(product.id, line);
  showBasket();
}

function showBasket() {
  const lines = [...state.basket.values()];
  $("basket").replaceChildren(...lines.map((line) => {
    const item = element("li");
    const quantity = element("input", undefined, { type: "number", min: 1, value: line.quantity });
    quantity.setAttribute("aria-label", `Quantity of ${line.product.name}`);
    quantity.addEventListener("change", () => {
      line.quantity = Math.max(1, Math.floor(Number(quantity.value) || 1));
      showBasket();
    });
    const remove = element("button", "Remove", { type: "button" });
    remove.setAttribute("aria-label", `Remove ${line.product.name}`);
    remove.addEventListener("click", () => { state.basket.delete(line.product.id); showBasket(); });
    item.append(element("span", line.product.name), quantity, remove);
    return item;
  }));
  const sum = lines.reduce((total, line) => total + line.quantity * cents(line.product.price), 0);
  $("total").textContent = lines.length ? `Total ${money(sum)}` : "Nothing in the basket yet.";
}

async function customerNamed(name) {
  const found = await call(`/rest/v1/customers?select=id&name=eq.${encodeURIComponent(name)}`);
  if (found.value.length) return found.value[0].id;
  const made = await call("/rest/v1/customers", { method: "POST", body: { name }, prefer: "return=representation" });
  return made.value[0].id;
}

async function placeOrder(event) {
  event.preventDefault();
  const lines = [...state.basket.values()];
  if (!lines.length) return say("Put something in the basket first.", true);
  const form = new FormData($("order"));
  const customer = await customerNamed(form.get("customer").trim());
  const order = (await call("/rest/v1/orders", {
    method: "POST", prefer: "return=representation",
    body: { customer_id: customer, note: form.get("note") || null },
  })).value[0];
  await call("/rest/v1/order_lines", {
    method: "POST",
    body: lines.map((line, index) => ({
      order_id: order.id, line_no: index + 1, product_id: line.product.id, quantity: line.quantity,
      unit_price: line.product.price,
    })),
  });
  // The order counts once its lines are there.
  await call(`/rest/v1/orders?id=eq.${order.id}`, { method: "PATCH", body: { status: "placed" } });
  state.basket.clear();
  showBasket();
  say("Order placed.");
  await listMine();
}

async function listMine() {
  const orders = (await call("/rest/v1/placed_orders?order=placed_at.desc&limit=20")).value;
  const customers = (await call("/rest/v1/customers?select=name&order=name.asc")).value;
  $("customers").replaceChildren(...customers.map((row) => element("option", undefined, { value: row.name })));
  let totals = new Map();
  if (orders.length) {
    const ids = orders.map((order) => order.id).join(",");
    const lines = (await call(`/rest/v1/order_lines?select=order_id,quantity,unit_price&order_id=in.(${ids})`)).value;
    for (const line of lines) {
      totals.set(line.order_id, (totals.get(line.order_id) ?? 0) + line.quantity * cents(line.unit_price));
    }
  }
  $("orders").replaceChildren(...orders.map((order) => {
    const item = element("li", `${order.customer}: ${money(totals.get(order.id) ?? 0)}, ${order.status}`);
    item.append(element("div", new Date(order.placed_at).toLocaleString(), { className: "soft" }));
    return item;
  }));
  if (!orders.length) $("orders").append(element("li", "No orders yet."));
}

function show() {
  const inside = Boolean(state.session);
  $("door").hidden = inside;
  $("mine").hidden = !inside;
  $("who").hidden = !inside;
  $("email").textContent = state.session?.user?.email ?? "";
}

async function enter(event) {
  event.preventDefault();
  const form = new FormData(event.target);
  const path = event.submitter?.value === "up" ? "/auth/v1/signup" : "/auth/v1/token?grant_type=password";
  const body = { email: form.get("email"), password: form.get("password") };
  keep((await call(path, { method: "POST", body })).value);
  event.target.reset();
  say("");
  show();
  watchRows();
  await listMine();
}

async function leave() {
  await call("/auth/v1/logout?scope=local", { method: "POST" }).catch(() => {});
  keep(null);
  show();
  watchRows();
}

const guarded = (work) => async (event) => {
  event?.preventDefault();
  try { await work(event); } catch (error) { say(error.message, true); }
};

$("door-form").addEventListener("submit", guarded(enter));
$("sign-out").addEventListener("click", guarded(leave));
$("order").addEventListener("submit", guarded(placeOrder));
$("search").addEventListener("submit", guarded(async () => { state.page = 0; await listProducts(); }));
$("previous").addEventListener("click", guarded(async () => { state.page -= 1; await listProducts(); }));
$("next").addEventListener("click", guarded(async () => { state.page += 1; await listProducts(); }));

guarded(async () => {
  const project = await (await fetch("/.well-known/martlet.json")).json();
  state.key = project.anon_key;
  if (state.session) await refresh();
  show();
  showBasket();
  await listCategories();
  await listProducts();
  watchRows();
  if (state.session) await listMine();
})();
