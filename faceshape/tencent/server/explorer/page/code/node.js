import { double, lines, value } from "./literals.js";

export const install = "npm install tencentcloud-sdk-nodejs";

export function code(call) {
  const key = (name) => (call.anyKey ? '"any"' : `process.env.${name}`);
  return lines(
    !call.url && 'const { readFileSync } = require("node:fs");',
    'const { iai } = require("tencentcloud-sdk-nodejs");',
    "",
    "const client = new iai.v20200303.Client({",
    "  credential: {",
    `    secretId: ${key("TENCENTCLOUD_SECRET_ID")},`,
    `    secretKey: ${key("TENCENTCLOUD_SECRET_KEY")},`,
    "  },",
    `  region: ${double(call.region)},`,
    "  profile: {",
    `    language: ${double(call.language)},`,
    `    httpProfile: { protocol: ${double(`${call.scheme}://`)}, endpoint: ${double(call.host)} },`,
    "  },",
    "});",
    "",
    "client",
    `  .${call.action}({`,
    Object.entries(call.parameters).map(([name, given]) => `    ${name}: ${value(given, double)},`),
    call.url
      ? `    Url: ${double(call.url)},`
      : `    Image: readFileSync(${double(call.path)}).toString("base64"),`,
    "  })",
    "  .then((response) => console.log(JSON.stringify(response)))",
    "  .catch((error) => {",
    "    console.error(error);",
    "    process.exitCode = 1;",
    "  });",
  );
}
