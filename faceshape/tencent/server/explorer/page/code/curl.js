import { writeBody } from "./body.js";
import { lines, shell } from "./literals.js";

export const install = "curl, openssl, base64";

const SIGNED = "content-type;host;x-tc-action";

export function code(call) {
  return lines(
    "#!/usr/bin/env bash",
    "set -euo pipefail",
    "",
    `host=${shell(call.host)}`,
    writeBody(call),
    "",
    call.anyKey ? "timestamp=$(date +%s)" : signature(call),
    "",
    `curl --silent --show-error "${call.scheme}://$host/" --data-binary "@$body" \\`,
    !call.anyKey && `  -H "Authorization: $authorization" \\`,
    "  -H 'Content-Type: application/json' \\",
    `  -H 'X-TC-Action: ${call.action}' -H 'X-TC-Version: ${call.version}' \\`,
    `  -H "X-TC-Timestamp: $timestamp" -H 'X-TC-Language: ${call.language}'` + (call.region ? " \\" : ""),
    call.region && `  -H ${shell(`X-TC-Region: ${call.region}`)}`,
  );
}

function signature(call) {
  return [
    "sha256() { openssl dgst -sha256 -r | cut -d ' ' -f 1; }",
    'hmac() { openssl dgst -sha256 -r -mac HMAC -macopt "$1" | cut -d \' \' -f 1; }',
    "",
    "read -r timestamp date <<< \"$(date -u '+%s %Y-%m-%d')\"",
    'scope="$date/iai/tc3_request"',
    "canonical_request=$(printf '%s\\n' POST / '' content-type:application/json \\",
    `  "host:$host" x-tc-action:${call.action.toLowerCase()} '' '${SIGNED}' "$(sha256 < "$body")")`,
    "string_to_sign=$(printf '%s\\n' TC3-HMAC-SHA256 \"$timestamp\" \"$scope\" \\",
    '  "$(printf %s "$canonical_request" | sha256)")',
    'key=$(printf %s "$date" | hmac "key:TC3$TENCENTCLOUD_SECRET_KEY")',
    'key=$(printf %s iai | hmac "hexkey:$key")',
    'key=$(printf %s tc3_request | hmac "hexkey:$key")',
    'signature=$(printf %s "$string_to_sign" | hmac "hexkey:$key")',
    'authorization="TC3-HMAC-SHA256 Credential=$TENCENTCLOUD_SECRET_ID/$scope"',
    `authorization+=", SignedHeaders=${SIGNED}, Signature=$signature"`,
  ];
}
