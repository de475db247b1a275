// SPDX-License-Identifier: Apache-2.0
Deno.serve(async (request: Request) => {
  const path = new URL(request.url).pathname;
  if (path.endsWith("/throw")) throw new Error("on purpose");
  const type = request.headers.get("content-type") ?? "";
  const name = type == "application/json" && request.body ? (await request.json()).name : "";
  console.log(`greeting ${name}`);
  return Response.json({ message: `Hello ${name}`, method: request.method, path, type });
});
