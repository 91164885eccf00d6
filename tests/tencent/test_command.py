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
from click.testing import CliRunner
from PIL import Image
from tencentcloud.common.exception.tencent_cloud_sdk_exception import TencentCloudSDKException

from faceshape.tencent.command import serve

SECRET = "AKIDEXAMPLEFAKEFAKEFAKEFAKEFAKE00:FAKEsecretKEYforTESTSonly0000000"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "give either --secret ID:KEY or --accept-any-signature"),
        (["--secret", "a:b", "--accept-any-signature"], "either"),
        (["--accept-any-signature", "--host", "0.0.0.0"], "can be reached by others"),
        (["--accept-any-signature", "--host", "::"], "can be reached by others"),
        (["--accept-any-signature", "--host", "192.168.1.5"], "can be reached by others"),
        (["--accept-any-signature", "--host", "example.org"], "can be reached by others"),
        (["--secret", "onlyid"], "a secret is ID:KEY"),
        (["--secret", ":topsecret"], "a secret is ID:KEY"),
        (["--secret", "a:b", "--threads", "0"], "threads"),
        (["--secret", "a:b", "--port", "65536"], "port"),
    ],
)
def test_what_is_refused(arguments, words, monkeypatch):
    monkeypatch.setattr("uvicorn.run", lambda *_, **__: pytest.fail("it serves"))
    monkeypatch.delenv("FACESHAPE_SECRETS", raising=False)
    result = CliRunner().invoke(serve, arguments)
    assert result.exit_code == 2
    assert words in result.output
    assert "topsecret" not in result.output


@pytest.mark.parametrize(
    ("arguments", "secrets", "host"),
    [
        (["--accept-any-signature"], "null", "127.0.0.1"),
        (["--accept-any-signature", "--host", "::1"], "null", "::1"),
        (["--accept-any-signature", "--host", "localhost"], "null", "localhost"),
        (["--accept-any-signature", "--host", "0.0.0.0", "--insecure"], "null", "0.0.0.0"),
        (["--host", "0.0.0.0", "--secret", "a:b:c"], '{"a": "b:c"}', "0.0.0.0"),
    ],
)
def test_what_is_served(arguments, secrets, host, monkeypatch):
    served = {}
    monkeypatch.setattr("uvicorn.run", lambda app, **options: served.update(options, app=app))
    monkeypatch.delenv("FACESHAPE_SECRETS", raising=False)
    monkeypatch.setenv("FACESHAPE_SERVER_SETTINGS", "")  # is put back afterwards
    result = CliRunner().invoke(serve, arguments)
    assert result.exit_code == 0, result.output
    assert served["host"] == host
    assert served["access_log"] is False
    assert f'"secrets": {secrets}' in os.environ["FACESHAPE_SERVER_SETTINGS"]


def test_without_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    result = CliRunner().invoke(serve, ["--accept-any-signature"])
    assert result.exit_code == 1
    assert "pip install 'faceshape[server]'" in result.output


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
    code = "from faceshape.tencent.command import serve; serve()"
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
