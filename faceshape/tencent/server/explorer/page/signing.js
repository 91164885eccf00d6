// The cloud's signature TC3-HMAC-SHA256, made with WebCrypto.

const ENCODER = new TextEncoder();
const SERVICE = "iai";

/** Whether this page may sign: browsers offer WebCrypto on https and localhost pages only. */
export const canSign = () => globalThis.crypto?.subtle !== undefined;

/** Return the SHA-256 of a text or of bytes, in hexadecimal. */
export async function sha256(data) {
  return hex(await crypto.subtle.digest("SHA-256", bytes(data)));
}

/**
 * Return what is signed for a POST request to "/", and its signature.
 *
 * @param {object} request
 * @param {[string, string][]} request.headers the signed ones in their order, names in lower case
 * @param {string} request.payloadHash SHA-256 of the body, in hexadecimal
 * @param {number} request.timestamp Unix seconds
 * @param {{secretId: string, secretKey: string}} keys
 * @returns canonicalRequest, stringToSign, signature (hexadecimal) and authorization (the header);
 *   the last two are null without keys
 */
export async function tc3({ headers, payloadHash, timestamp }, keys) {
  const date = new Date(1000 * timestamp).toISOString().slice(0, 10);
  const scope = `${date}/${SERVICE}/tc3_request`;
  const signedHeaders = headers.map(([name]) => name).join(";");
  const canonicalHeaders = headers.map(([name, value]) => `${name}:${value}\n`).join("");
  const canonicalRequest = ["POST", "/", "", canonicalHeaders, signedHeaders, payloadHash].join("\n");
  const stringToSign = [
    "TC3-HMAC-SHA256",
    timestamp,
    scope,
    await sha256(canonicalRequest),
  ].join("\n");
  if (!keys.secretId || !keys.secretKey) {
    return { canonicalRequest, stringToSign, signature: null, authorization: null };
  }
  let key = ENCODER.encode(`TC3${keys.secretKey}`);
  for (const part of [date, SERVICE, "tc3_request"]) {
    key = await hmac(key, part);
  }
  const signature = hex(await hmac(key, stringToSign));
  const authorization =
    `TC3-HMAC-SHA256 Credential=${keys.secretId}/${scope}, ` +
    `SignedHeaders=${signedHeaders}, Signature=${signature}`;
  return { canonicalRequest, stringToSign, signature, authorization };
}

async function hmac(key, message) {
  const algorithm = { name: "HMAC", hash: "SHA-256" };
  const imported = await crypto.subtle.importKey("raw", key, algorithm, false, ["sign"]);
  return crypto.subtle.sign("HMAC", imported, bytes(message));
}

const bytes = (data) => (typeof data === "string" ? ENCODER.encode(data) : data);

function hex(buffer) {
  return Array.from(new Uint8Array(buffer), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
