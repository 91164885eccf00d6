import { lines, single, value } from "./literals.js";

export const install = "gem install tencentcloud-sdk-common tencentcloud-sdk-iai";
export const note = "codeNeedsProxy";

export function code(call) {
  const { action } = call;
  const key = (name) => (call.anyKey ? "'any'" : `ENV.fetch('${name}')`);
  return lines(
    !call.url && "require 'base64'",
    "require 'tencentcloud-sdk-common'",
    "require 'tencentcloud-sdk-iai'",
    "",
    "include TencentCloud::Common",
    "include TencentCloud::Iai::V20200303",
    "",
    "credential = Credential.new(",
    `  ${key("TENCENTCLOUD_SECRET_ID")}, ${key("TENCENTCLOUD_SECRET_KEY")}`,
    ")",
    "http = HttpProfile.new",
    `http.scheme = ${single(call.scheme)}`,
    `http.endpoint = ${single(call.hostname)}`,
    `http.proxy = ${single(`${call.scheme}://${call.host}`)}`,
    "profile = ClientProfile.new",
    "profile.http_profile = http",
    `profile.language = ${single(call.language)}`,
    `client = Client.new(credential, ${single(call.region)}, profile)`,
    "",
    `request = ${action}Request.new`,
    Object.entries(call.parameters).map(
      ([name, given]) => `request.${name} = ${value(given, single)}`,
    ),
    call.url
      ? `request.Url = ${single(call.url)}`
      : `request.Image = Base64.strict_encode64(File.binread(${single(call.path)}))`,
    `puts client.${action}(request).serialize`,
  );
}
