// A call of the API as code, for each of the vendor's SDKs and for the command line.
//
// Each module gets the call: {action, version, region, language, parameters, url, path, scheme,
// host, hostname, anyKey}. The picture is read from the file `path` unless there is a `url`; host
// has the port, scheme is "http" or "https"; with anyKey the server checks no signature.

import * as cpp from "./cpp.js";
import * as curl from "./curl.js";
import * as dotnet from "./dotnet.js";
import * as go from "./go.js";
import * as java from "./java.js";
import * as node from "./node.js";
import * as php from "./php.js";
import * as python from "./python.js";
import * as ruby from "./ruby.js";
import * as tccli from "./tccli.js";

export const LANGUAGES = [
  { id: "python", name: "Python", ...python },
  { id: "java", name: "Java", ...java },
  { id: "php", name: "PHP", ...php },
  { id: "go", name: "Go", ...go },
  { id: "node", name: "Node.js", ...node },
  { id: "dotnet", name: ".NET", ...dotnet },
  { id: "cpp", name: "C++", ...cpp },
  { id: "ruby", name: "Ruby", ...ruby },
  { id: "tccli", name: "tccli", ...tccli },
  { id: "curl", name: "curl", ...curl },
];
