// SPDX-License-Identifier: Apache-2.0
import { serve } from "https://deno.land/std@0.168.0/http/server.ts";
import { mark } from "mark";

serve((request: Request) => new Response(`older ${new URL(request.url).pathname}${mark}`));
