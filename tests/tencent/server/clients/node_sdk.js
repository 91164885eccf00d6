// Calls a server with tencentcloud-sdk-nodejs in each way that it can sign; prints JSON lines.
// Arguments: the port, the SecretId, the key, a file with the base64 text of a picture.
const fs = require("fs");
const { iai } = require("tencentcloud-sdk-nodejs/tencentcloud/services/iai");

const [port, secretId, secretKey, picture] = process.argv.slice(2);
const Image = fs.readFileSync(picture, "utf8");

async function main() {
  for (const signMethod of ["TC3-HMAC-SHA256", "HmacSHA256", "HmacSHA1"]) {
    for (const reqMethod of ["POST", "GET"]) {
      const httpProfile = { protocol: "http://", endpoint: `127.0.0.1:${port}`, reqMethod };
      const client = new iai.v20200303.Client({
        credential: { secretId, secretKey },
        region: "ap-guangzhou",
        profile: { signMethod, httpProfile },
      });
      for (const action of ["AnalyzeFace", "DetectFace"]) {
        const answer = await client[action]({ Image }).catch((error) => error.code);
        console.log(JSON.stringify([`${signMethod} ${reqMethod}`, action, answer]));
      }
    }
  }
}

main();
