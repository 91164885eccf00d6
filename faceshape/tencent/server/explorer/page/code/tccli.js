import { writeBody } from "./body.js";
import { double, lines, shell } from "./literals.js";

export const install = "pip install tccli";

export function code(call) {
  return lines(
    "#!/usr/bin/env bash",
    "set -euo pipefail",
    !call.anyKey && "# Reads TENCENTCLOUD_SECRET_ID and TENCENTCLOUD_SECRET_KEY.",
    call.anyKey && "export TENCENTCLOUD_SECRET_ID=any TENCENTCLOUD_SECRET_KEY=any",
    "",
    writeBody(call),
    "",
    `tccli iai ${call.action} --version ${call.version} --region ${shell(call.region)} \\`,
    `  --endpoint ${double(`${call.scheme}://${call.host}`)} --language ${call.language} \\`,
    '  --cli-input-json "file://$body"',
  );
}
