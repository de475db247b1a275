// SPDX-License-Identifier: Apache-2.0
async function status(key: string): Promise<number> {
  const address = `${Deno.env.get("SUPABASE_URL")}/auth/v1/settings`;
  const answer = await fetch(address, { headers: { apikey: key, Authorization: `Bearer ${key}` } });
  await answer.body?.cancel();
  return answer.status;
}

Deno.serve(async () =>
  Response.json({
    anon: await status(Deno.env.get("SUPABASE_ANON_KEY")!),
    service: await status(Deno.env.get("SUPABASE_SERVICE_ROLE_KEY")!),
  })
);
