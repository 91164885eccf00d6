import { double, lines, value } from "./literals.js";

export const install = "pip install tencentcloud-sdk-python-iai";

export function code(call) {
  const key = (name) => (call.anyKey ? '"any"' : `os.environ["${name}"]`);
  return lines(
    !call.url && "import base64",
    !call.anyKey && "import os",
    !call.url && "from pathlib import Path",
    "",
    "from tencentcloud.common.credential import Credential",
    "from tencentcloud.common.profile.client_profile import ClientProfile",
    "from tencentcloud.common.profile.http_profile import HttpProfile",
    "from tencentcloud.iai.v20200303.iai_client import IaiClient",
    `from tencentcloud.iai.v20200303.models import ${call.action}Request`,
    "",
    "credential = Credential(",
    `    ${key("TENCENTCLOUD_SECRET_ID")},`,
    `    ${key("TENCENTCLOUD_SECRET_KEY")},`,
    ")",
    `http = HttpProfile(protocol=${double(call.scheme)}, endpoint=${double(call.host)})`,
    `profile = ClientProfile(httpProfile=http, language=${double(call.language)})`,
    `client = IaiClient(credential, ${double(call.region)}, profile)`,
    "",
    `request = ${call.action}Request()`,
    Object.entries(call.parameters).map(([name, given]) => `request.${name} = ${value(given, double)}`),
    call.url
      ? `request.Url = ${double(call.url)}`
      : [
          `picture = Path(${double(call.path)}).read_bytes()`,
          "request.Image = base64.b64encode(picture).decode()",
        ],
    `print(client.${call.action}(request).to_json_string())`,
  );
}
