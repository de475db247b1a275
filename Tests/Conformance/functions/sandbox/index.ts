// SPDX-License-Identifier: Apache-2.0
import { word } from "../_shared/word.ts";

const folder = new URL(".", import.meta.url).pathname;

function tried(work: () => unknown): string {
  try {
    work();
    return "allowed";
  } catch (error) {
    return error instanceof Deno.errors.NotCapable ? "denied" : `${error}`;
  }
}

Deno.serve(() =>
  Response.json({
    own: Deno.readTextFileSync(`${folder}own.txt`),
    shared: word,
    secret: Deno.env.get("SECRET_WORD"),
    passwd: tried(() => Deno.readTextFileSync("/etc/passwd")),
    write: tried(() => Deno.writeTextFileSync(`${folder}new.txt`, "x")),
    run: tried(() => new Deno.Command("/bin/true").outputSync()),
    home: Deno.env.get("HOME") ?? "",
  })
);
