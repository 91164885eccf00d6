import { lines, single, value } from "./literals.js";

export const install = "composer require tencentcloud/iai";

export function code(call) {
  const { action } = call;
  const key = (name) => (call.anyKey ? "'any'" : `getenv('${name}')`);
  return lines(
    "<?php",
    "require_once __DIR__ . '/vendor/autoload.php';",
    "",
    "use TencentCloud\\Common\\Credential;",
    "use TencentCloud\\Common\\Profile\\ClientProfile;",
    "use TencentCloud\\Common\\Profile\\HttpProfile;",
    "use TencentCloud\\Iai\\V20200303\\IaiClient;",
    `use TencentCloud\\Iai\\V20200303\\Models\\${action}Request;`,
    "",
    "$credential = new Credential(",
    `    ${key("TENCENTCLOUD_SECRET_ID")}, ${key("TENCENTCLOUD_SECRET_KEY")}`,
    ");",
    "$http = new HttpProfile();",
    `$http->setProtocol(${single(`${call.scheme}://`)});`,
    `$http->setEndpoint(${single(call.host)});`,
    "$profile = new ClientProfile();",
    "$profile->setHttpProfile($http);",
    `$profile->setLanguage(${single(call.language)});`,
    `$client = new IaiClient($credential, ${single(call.region)}, $profile);`,
    "",
    `$request = new ${action}Request();`,
    Object.entries(call.parameters).map(([name, given]) => `$request->set${name}(${value(given, single)});`),
    call.url
      ? `$request->setUrl(${single(call.url)});`
      : `$request->setImage(base64_encode(file_get_contents(${single(call.path)})));`,
    `echo $client->${action}($request)->toJsonString(), PHP_EOL;`,
  );
}
