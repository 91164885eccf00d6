// A call of the API → the HTTP request, signed; and the server's answer to it.
//
// A call is what the form says: {action, version, region, language, parameters, url, file, token},
// where parameters are in order, and file is null or {base64, name}.

import { canSign, sha256, tc3 } from "./signing.js";

const LONGEST_SHOWN = 48; // characters of a base64 text

/** Return the body's parameters: those of the form, and the picture as Url or as Image. */
export function bodyOf(call) {
  const picture = {};
  if (call.file) {
    picture.Image = call.file.base64;
  }
  if (call.url) {
    picture.Url = call.url;
  }
  return { ...call.parameters, ...picture };
}

/**
 * Return the request of a call, for the server that the page came from.
 *
 * @param {object} call what is asked for
 * @param {{secretId: string, secretKey: string}} keys without them the request is not signed
 * @returns {headers, body, payload, signed} the body as text and as bytes; what `tc3` returned,
 *   or null where the browser cannot sign
 */
export async function prepare(call, keys) {
  const body = JSON.stringify(bodyOf(call));
  const payload = new TextEncoder().encode(body);
  const timestamp = Math.floor(Date.now() / 1000);
  const headers = [
    ["Content-Type", "application/json"],
    ["Host", location.host], // the browser's own; signed, not set
    ["X-TC-Action", call.action],
    ["X-TC-Version", call.version],
    ["X-TC-Timestamp", String(timestamp)],
    ["X-TC-Language", call.language],
  ];
  if (call.region) {
    headers.push(["X-TC-Region", call.region]);
  }
  if (call.token) {
    headers.push(["X-TC-Token", call.token]);
  }
  let signed = null;
  if (canSign()) {
    const forSignature = headers.slice(0, 3).map(([name, value]) => [name.toLowerCase(), value]);
    forSignature[2][1] = forSignature[2][1].toLowerCase(); // as the document has it
    const payloadHash = await sha256(payload);
    signed = await tc3({ headers: forSignature, payloadHash, timestamp }, keys);
    if (signed.authorization) {
      headers.unshift(["Authorization", signed.authorization]);
    }
  }
  return { headers, body, payload, signed };
}

/**
 * Send a request that `prepare` made.
 *
 * @returns {status, text, milliseconds}
 * @throws {TypeError} the server cannot be reached
 */
export async function send({ headers, payload }) {
  const started = performance.now();
  const response = await fetch("/", {
    method: "POST",
    headers: headers.filter(([name]) => name !== "Host"),
    body: payload,
    cache: "no-store",
    credentials: "omit",
    redirect: "error",
  });
  const text = await response.text();
  return { status: response.status, text, milliseconds: performance.now() - started };
}

/** Return a request as text, its picture shortened: `ellipsis` says how much was left out. */
export function asText({ headers, body }, ellipsis) {
  const shown = JSON.stringify(
    JSON.parse(body),
    (name, value) =>
      name === "Image" && value.length > LONGEST_SHOWN
        ? `${value.slice(0, LONGEST_SHOWN)}… (${ellipsis(value.length)})`
        : value,
    2,
  );
  const lines = headers.map(([name, value]) => `${name}: ${value}`);
  return ["POST / HTTP/1.1", ...lines, "", shown].join("\n");
}
