// The body of a request, written by a shell to the file $body: the picture may be longer than an
// argument of a command can be.

import { shell } from "./literals.js";

export function writeBody(call) {
  const known = JSON.stringify({ ...call.parameters, ...(call.url && { Url: call.url }) });
  const make = ["body=$(mktemp)", "trap 'rm -f \"$body\"' EXIT"];
  if (call.url) {
    return [...make, `printf %s ${shell(known)} > "$body"`];
  }
  const before = `${known.slice(0, -1)}${known === "{}" ? "" : ","}"Image":"`;
  return [
    `picture=${shell(call.path)}`,
    ...make,
    `printf %s ${shell(before)} "$(base64 < "$picture" | tr -d '\\n')" '"}' > "$body"`,
  ];
}
