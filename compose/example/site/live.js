// Changes of rows as they happen: one WebSocket to /realtime/v1 (Phoenix channels, serializer 2.0.0).
const topic = "realtime:desk";
const beatEvery = 25_000;
const retryAfter = [500, 1_000, 2_000, 5_000, 10_000]; // milliseconds

/**
 * Calls `onChange({table, type, record, old})` for each change that the caller may see, and `onState(text)` when the
 * connection comes and goes. `token` is asked for at each connection. Returns a function that ends it.
 */
export function watch({ key, token, tables, onChange, onState }) {
  let socket, beat, timer, failures = 0, ended = false, number = 0;

  function send(event, payload, on = topic) {
    number += 1;
    if (socket.readyState === WebSocket.OPEN) socket.send(JSON.stringify(["1", String(number), on, event, payload]));
  }

  function connect() {
    const address = new URL("/realtime/v1/websocket", location.href);
    address.protocol = address.protocol.replace("http", "ws");
    address.search = new URLSearchParams({ apikey: key, vsn: "2.0.0" });
    socket = new WebSocket(address);
    socket.addEventListener("open", () => {
      const changes = tables.map((table) => ({ event: "*", schema: "public", table }));
      send("phx_join", { config: { postgres_changes: changes }, access_token: token() });
      beat = setInterval(() => send("heartbeat", {}, "phoenix"), beatEvery);
    });
    socket.addEventListener("message", ({ data }) => {
      const [, , , event, payload] = JSON.parse(data);
      if (event === "system" && payload.extension === "postgres_changes" && payload.status === "ok") {
        failures = 0;
        onState("live");
      } else if (event === "postgres_changes") {
        const { table, type, record, old_record: old } = payload.data;
        onChange({ table, type, record, old });
      } else if (event === "phx_error" || event === "phx_close") {
        socket.close();
      }
    });
    socket.addEventListener("close", () => {
      clearInterval(beat);
      if (ended) return;
      onState("away");
      timer = setTimeout(connect, retryAfter[Math.min(failures, retryAfter.length - 1)]);
      failures += 1;
    });
  }

  connect();
  return {
    /** A new access token, before the old one ends. */
    renew() { send("access_token", { access_token: token() }); },
    end() {
      ended = true;
      clearTimeout(timer);
      clearInterval(beat);
      socket.close();
    },
  };
}
