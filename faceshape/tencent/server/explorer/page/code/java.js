import { double, lines, value } from "./literals.js";

export const install = "Maven: com.tencentcloudapi:tencentcloud-sdk-java-iai";

export function code(call) {
  const { action } = call;
  const key = (name) => (call.anyKey ? '"any"' : `System.getenv("${name}")`);
  const set = ([name, given]) => `        request.set${name}(${value(given, double)}${typeof given === "number" ? "L" : ""});`;
  return lines(
    "import com.tencentcloudapi.common.AbstractModel;",
    "import com.tencentcloudapi.common.Credential;",
    "import com.tencentcloudapi.common.profile.ClientProfile;",
    "import com.tencentcloudapi.common.profile.HttpProfile;",
    "import com.tencentcloudapi.common.profile.Language;",
    "import com.tencentcloudapi.iai.v20200303.IaiClient;",
    `import com.tencentcloudapi.iai.v20200303.models.${action}Request;`,
    `import com.tencentcloudapi.iai.v20200303.models.${action}Response;`,
    !call.url && "import java.nio.file.Files;",
    !call.url && "import java.nio.file.Paths;",
    !call.url && "import java.util.Base64;",
    "",
    "public class Main {",
    "    public static void main(String[] args) throws Exception {",
    `        Credential credential = new Credential(`,
    `            ${key("TENCENTCLOUD_SECRET_ID")}, ${key("TENCENTCLOUD_SECRET_KEY")});`,
    "        HttpProfile http = new HttpProfile();",
    `        http.setProtocol(${double(`${call.scheme}://`)});`,
    `        http.setEndpoint(${double(call.host)});`,
    "        ClientProfile profile = new ClientProfile();",
    "        profile.setHttpProfile(http);",
    `        profile.setLanguage(Language.${call.language === "en-US" ? "EN_US" : "ZH_CN"});`,
    `        IaiClient client = new IaiClient(credential, ${double(call.region)}, profile);`,
    "",
    `        ${action}Request request = new ${action}Request();`,
    Object.entries(call.parameters).map(set),
    call.url
      ? `        request.setUrl(${double(call.url)});`
      : [
          `        byte[] picture = Files.readAllBytes(Paths.get(${double(call.path)}));`,
          "        request.setImage(Base64.getEncoder().encodeToString(picture));",
        ],
    `        ${action}Response response = client.${action}(request);`,
    "        System.out.println(AbstractModel.toJsonString(response));",
    "    }",
    "}",
  );
}
