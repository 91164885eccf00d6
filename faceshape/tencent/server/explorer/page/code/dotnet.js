import { double, lines, value } from "./literals.js";

export const install = "dotnet add package TencentCloudSDK.Iai";

export function code(call) {
  const { action } = call;
  const key = (name) => (call.anyKey ? '"any"' : `Environment.GetEnvironmentVariable("${name}")`);
  return lines(
    "using System;",
    !call.url && "using System.IO;",
    "using TencentCloud.Common;",
    "using TencentCloud.Common.Profile;",
    "using TencentCloud.Iai.V20200303;",
    "using TencentCloud.Iai.V20200303.Models;",
    "",
    "var credential = new Credential",
    "{",
    `    SecretId = ${key("TENCENTCLOUD_SECRET_ID")},`,
    `    SecretKey = ${key("TENCENTCLOUD_SECRET_KEY")},`,
    "};",
    "var profile = new ClientProfile",
    "{",
    "    SignMethod = ClientProfile.SIGN_TC3SHA256,",
    `    Language = Language.${call.language === "en-US" ? "EN_US" : "ZH_CN"},`,
    "    HttpProfile = new HttpProfile",
    "    {",
    `        Protocol = ${double(`${call.scheme}://`)},`,
    `        Endpoint = ${double(call.host)},`,
    "    },",
    "};",
    `var client = new IaiClient(credential, ${double(call.region)}, profile);`,
    "",
    `var request = new ${action}Request`,
    "{",
    Object.entries(call.parameters).map(([name, given]) => `    ${name} = ${value(given, double)},`),
    call.url
      ? `    Url = ${double(call.url)},`
      : `    Image = Convert.ToBase64String(File.ReadAllBytes(${double(call.path)})),`,
    "};",
    `Console.WriteLine(AbstractModel.ToJsonString(client.${action}Sync(request)));`,
  );
}
