"""Calls a server with the SDK that is on the path, in each way that it can sign; prints JSON lines.

Arguments: the port, the SecretId, the key, a file with the base64 text of a picture. It runs with
SDKs of all ages, so it uses what they have in common.
"""

import json
import sys

from tencentcloud.common.credential import Credential
from tencentcloud.common.exception.tencent_cloud_sdk_exception import TencentCloudSDKException
from tencentcloud.common.profile.client_profile import ClientProfile
from tencentcloud.common.profile.http_profile import HttpProfile
from tencentcloud.iai.v20200303 import iai_client, models

port, secret_id, key, picture = sys.argv[1:]
with open(picture) as file:  # noqa: PTH123
    image = file.read()


def ask(client, action, request):
    request.Image = image
    try:
        response = getattr(client, action)(request)
    except TencentCloudSDKException as error:
        return error.get_code()
    return json.loads(response.to_json_string())


for sign in ("TC3-HMAC-SHA256", "HmacSHA256", "HmacSHA1"):
    for method in ("POST", "GET"):
        http = HttpProfile(
            protocol="http", endpoint="127.0.0.1:" + port, reqMethod=method, reqTimeout=60
        )
        client = iai_client.IaiClient(
            Credential(secret_id, key), "ap-guangzhou", ClientProfile(sign, http)
        )
        for action, request in (
            ("AnalyzeFace", models.AnalyzeFaceRequest()),
            ("DetectFace", models.DetectFaceRequest()),
        ):
            print(json.dumps([sign + " " + method, action, ask(client, action, request)]))  # noqa: T201
