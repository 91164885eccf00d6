import { double, lines, value } from "./literals.js";

export const install =
  "go get github.com/tencentcloud/tencentcloud-sdk-go/tencentcloud/{common,iai}";

export function code(call) {
  const { action } = call;
  const sdk = "github.com/tencentcloud/tencentcloud-sdk-go/tencentcloud";
  const key = (name) => (call.anyKey ? '"any"' : `os.Getenv("${name}")`);
  const pointer = (given) =>
    `common.${typeof given === "number" ? "Uint64" : "String"}Ptr(${value(given, double)})`;
  const fail = ["\tif err != nil {", "\t\tlog.Fatal(err)", "\t}"];
  return lines(
    "package main",
    "",
    "import (",
    !call.url && '\t"encoding/base64"',
    '\t"fmt"',
    '\t"log"',
    !(call.url && call.anyKey) && '\t"os"',
    "",
    `\t"${sdk}/common"`,
    `\t"${sdk}/common/profile"`,
    `\tiai "${sdk}/iai/v20200303"`,
    ")",
    "",
    "func main() {",
    "\tcredential := common.NewCredential(",
    `\t\t${key("TENCENTCLOUD_SECRET_ID")}, ${key("TENCENTCLOUD_SECRET_KEY")},`,
    "\t)",
    "\tsettings := profile.NewClientProfile()",
    `\tsettings.HttpProfile.Scheme = ${double(call.scheme.toUpperCase())}`,
    `\tsettings.HttpProfile.Endpoint = ${double(call.host)}`,
    `\tsettings.Language = ${double(call.language)}`,
    `\tclient, err := iai.NewClient(credential, ${double(call.region)}, settings)`,
    fail,
    "",
    `\trequest := iai.New${action}Request()`,
    Object.entries(call.parameters).map(([name, given]) => `\trequest.${name} = ${pointer(given)}`),
    call.url
      ? `\trequest.Url = ${pointer(call.url)}`
      : [
          `\tpicture, err := os.ReadFile(${double(call.path)})`,
          fail,
          "\trequest.Image = common.StringPtr(base64.StdEncoding.EncodeToString(picture))",
        ],
    `\tresponse, err := client.${action}(request)`,
    fail,
    "\tfmt.Println(response.ToJsonString())",
    "}",
  );
}
