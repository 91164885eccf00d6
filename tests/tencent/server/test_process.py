"""``faceshape serve`` as a process of its own, with the official SDK as its client."""

import base64
import http.client
import io
import os
import re
import signal
import subprocess
import sys
import time

import pytest
from PIL import Image
from tencentcloud.common.exception.tencent_cloud_sdk_exception import TencentCloudSDKException

SECRET = "AKIDEXAMPLEFAKEFAKEFAKEFAKEFAKE00:FAKEsecretKEYforTESTSonly0000000"


def get(port, path):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("GET", path)
    with connection.getresponse() as response:
        content = response.read().decode()
    connection.close()
    return content


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
@pytest.mark.parametrize("workers", [1, 2])
def test_serving_a_real_face(workers, portrait, sdk_client, sdk_request):
    buffer = io.BytesIO()
    Image.fromarray(portrait).save(buffer, "JPEG")
    image = base64.b64encode(buffer.getvalue()).decode()
    code = "from faceshape.cli.serve import serve; serve()"
    command = [
        sys.executable,
        "-c",
        code,
        "--port",
        "0",
        "--threads",
        "1",
        "--request-timeout",
        "60",
    ]
    process = subprocess.Popen(
        [*command, "--workers", str(workers)],
        env={**os.environ, "FACESHAPE_SECRETS": SECRET},
        stderr=subprocess.PIPE,
        text=True,
    )
    lines = []
    try:
        port, started = None, 0
        while port is None or started < workers:
            lines.append(process.stderr.readline())
            assert lines[-1], "".join(lines)  # the end: it did not start
            started += "startup complete" in lines[-1]
            if match := re.search(r"http://127\.0\.0\.1:(\d+)", lines[-1]):
                port = int(match[1])
        for options in ({}, {"sign": "HmacSHA256"}):
            client = sdk_client(port, **options)  # a connection of its own: maybe another worker
            response = client.AnalyzeFace(sdk_request(Image=image))
            assert len(response.FaceShapeSet[0].FaceProfile) == 21
        with pytest.raises(TencentCloudSDKException, match="MissingParameter"):
            sdk_client(port).AnalyzeFace(sdk_request())
        until = time.monotonic() + 30
        while 'faceshape_requests_total{code="OK"} 2.0' not in get(port, "/metrics"):
            assert time.monotonic() < until  # all workers' numbers are added
    finally:
        process.send_signal(signal.SIGTERM)
        _, rest = process.communicate(timeout=60)
    logged = "".join(lines) + rest
    assert process.returncode in (0, -signal.SIGTERM)
    assert logged.count("code=OK") == 2
    assert "Traceback" not in logged
    for private in (image[:30], *SECRET.split(":")):
        assert private not in logged
