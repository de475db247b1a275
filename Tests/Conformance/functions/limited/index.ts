// SPDX-License-Identifier: Apache-2.0
Deno.serve((request: Request) => {
  const path = new URL(request.url).pathname;
  const kept: unknown[] = [];
  if (path.endsWith("/spin")) while (true);
  if (path.endsWith("/heap")) while (true) kept.push(new Array(1000).fill({}).map(() => ({})));
  if (path.endsWith("/buffers")) while (true) kept.push(new Uint8Array(4 << 20).fill(1));
  return new Response("fine");
});
