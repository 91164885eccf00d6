import { double, lines, value } from "./literals.js";

export const install = "tencentcloud-sdk-cpp (core, iai), OpenSSL";

// The SDK takes no endpoint without a dot.
const endpoint = (host) => host.replace(/^localhost(?=:|$)/, "127.0.0.1");

const BASE64 = [
  "static std::string Base64OfFile(const std::string &path) {",
  "    std::ifstream file(path, std::ios::binary);",
  "    std::string bytes((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());",
  "    std::string text(4 * ((bytes.size() + 2) / 3) + 1, '\\0');",
  "    text.resize(EVP_EncodeBlock(reinterpret_cast<unsigned char *>(&text[0]),",
  "                                reinterpret_cast<const unsigned char *>(bytes.data()),",
  "                                static_cast<int>(bytes.size())));",
  "    return text;",
  "}",
  "",
];

export function code(call) {
  const { action } = call;
  const key = (name) => (call.anyKey ? '"any"' : `std::getenv("${name}")`);
  return lines(
    "// g++ -std=c++11 main.cpp -ltencentcloud-sdk-cpp-iai -ltencentcloud-sdk-cpp-core -lcrypto",
    "#include <cstdlib>",
    !call.url && "#include <fstream>",
    "#include <iostream>",
    !call.url && "#include <iterator>",
    "#include <string>",
    !call.url && "#include <openssl/evp.h>",
    "#include <tencentcloud/core/Credential.h>",
    "#include <tencentcloud/core/TencentCloud.h>",
    "#include <tencentcloud/core/profile/ClientProfile.h>",
    "#include <tencentcloud/core/profile/HttpProfile.h>",
    "#include <tencentcloud/iai/v20200303/IaiClient.h>",
    `#include <tencentcloud/iai/v20200303/model/${action}Request.h>`,
    `#include <tencentcloud/iai/v20200303/model/${action}Response.h>`,
    "",
    "using namespace TencentCloud;",
    "using namespace TencentCloud::Iai::V20200303;",
    "",
    !call.url && BASE64,
    "static int Run() {",
    `    Credential credential(${key("TENCENTCLOUD_SECRET_ID")},`,
    `                          ${key("TENCENTCLOUD_SECRET_KEY")});`,
    "    HttpProfile http;",
    `    http.SetProtocol(HttpProfile::Scheme::${call.scheme.toUpperCase()});`,
    `    http.SetEndpoint(${double(endpoint(call.host))});`,
    "    ClientProfile profile(http);",
    `    IaiClient client(credential, ${double(call.region)}, profile);`,
    "",
    `    Model::${action}Request request;`,
    Object.entries(call.parameters).map(([name, given]) => `    request.Set${name}(${value(given, double)});`),
    call.url
      ? `    request.SetUrl(${double(call.url)});`
      : `    request.SetImage(Base64OfFile(${double(call.path)}));`,
    `    auto outcome = client.${action}(request);`,
    "    if (!outcome.IsSuccess()) {",
    "        std::cerr << outcome.GetError().PrintAll() << std::endl;",
    "        return 1;",
    "    }",
    "    std::cout << outcome.GetResult().ToJsonString() << std::endl;",
    "    return 0;",
    "}",
    "",
    "int main() {",
    "    InitAPI();",
    "    int status = Run();",
    "    ShutdownAPI();",
    "    return status;",
    "}",
  );
}
