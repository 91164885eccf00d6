"""The Explorer in a real browser, with the real engine behind it."""

import ast
import base64
import contextlib
import http.server
import io
import json
import os
import shutil
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from faceshape.core.contract import GROUPS
from faceshape.tencent.api import analyze_face
from faceshape.tencent.fetch import FetchPolicy
from faceshape.tencent.server.app import ServerSettings
from faceshape.tencent.server.signature import tc3_signature

playwright = pytest.importorskip("playwright.sync_api")

BROWSER = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
pytestmark = pytest.mark.skipif(BROWSER is None, reason="no browser is installed")

SECRET_ID = "AKIDEXAMPLEFAKEFAKEFAKEFAKEFAKE00"
SECRET_KEY = "FAKEsecretKEYforTESTSonly0000000"
QUIET = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
    "--host-resolver-rules=MAP faceshape.test 127.0.0.1",
)
LANGUAGES = {
    "python": ".py",
    "java": ".java",
    "php": ".php",
    "go": ".go",
    "node": ".js",
    "dotnet": ".cs",
    "cpp": ".cpp",
    "ruby": ".rb",
    "tccli": ".sh",
    "curl": ".sh",
}
CHECKERS = {
    "php": ["php", "-l"],
    "go": ["gofmt", "-l", "-e"],
    "node": ["node", "--check"],
    "ruby": ["ruby", "-c"],
    "tccli": ["bash", "-n"],
    "curl": ["bash", "-n"],
}
RUNNABLE = ["python", *(["curl"] if shutil.which("curl") and shutil.which("openssl") else [])]


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=BROWSER, args=QUIET)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def signed_port(serving, engine):
    with serving(settings({SECRET_ID: SECRET_KEY}), engine) as number:
        yield number


@pytest.fixture(scope="module")
def open_port(serving, engine):
    """Of a server that accepts any signature."""
    with serving(settings(None), engine) as number:
        yield number


def settings(secrets) -> ServerSettings:
    return ServerSettings(
        secrets=secrets, threads=1, request_timeout=60.0, explorer=True, any_host=True
    )


@pytest.fixture
def complaints():
    """What the browser says on the console, of violations of the page's policy above all."""
    return []


@pytest.fixture
def visit(browser, complaints):
    """Open the page; in the end nothing may have left its server, or been complained about."""
    urls = []

    @contextlib.contextmanager
    def tab(port, host="127.0.0.1"):
        server = f"http://{host}:{port}/"
        context = browser.new_context(locale="en-US")
        context.set_default_timeout(30_000)
        try:
            page = context.new_page()
            page.on("request", lambda request: urls.append((server, request.url)))
            page.on("pageerror", lambda error: complaints.append(str(error)))
            page.on("console", lambda line: complaints.append(f"{line.type}: {line.text}"))
            page.goto(server)
            page.wait_for_selector("html[data-ready]")
            yield page
        finally:
            context.close()

    with contextlib.ExitStack() as stack:
        yield lambda *place: stack.enter_context(tab(*place))
    assert urls
    for server, url in urls:
        assert url.startswith((server, f"blob:{server}")), url
    assert not [line for line in complaints if not line.startswith(("verbose", "debug"))]


@pytest.fixture
def page(visit, signed_port):
    return visit(signed_port)


@pytest.fixture(scope="module")
def png(astronaut):
    return encode(astronaut, "PNG")


def encode(pixels, kind, **options) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind, **options)
    return buffer.getvalue()


def choose(page, content, name="astronaut.png") -> None:
    page.set_input_files("#file", {"name": name, "mimeType": "image/png", "buffer": content})
    page.wait_for_selector("#picture-name:not([hidden]), #picture-note.problem")


def type_keys(page, key=SECRET_KEY) -> None:
    page.fill("#secret-id", SECRET_ID)
    page.fill("#secret-key", key)


def send(page) -> None:
    # What the call before left there is no sign of this one's end.
    page.eval_on_selector("#status", "status => { status.className = ''; }")
    page.click("#send")
    page.wait_for_selector("#result:not([aria-busy]) #status:is(.good, .problem)")


def response(page):
    return json.loads(page.text_content("#response"))["Response"]


def drawn(page):
    """Return the circles' centres (N, 2), in the order of the contract."""
    script = "all => all.map(one => [one.cx.baseVal.value, one.cy.baseVal.value])"
    return np.array(page.eval_on_selector_all("#stage circle", script)).reshape(-1, 2)


def points(content):
    """Return the points (90, 2) of an answer's only face."""
    [shape] = content["FaceShapeSet"]
    return np.array([(p["X"], p["Y"]) for name in GROUPS for p in shape[name]])


def code(page, language) -> str:
    page.click("#tab-code")
    page.click(f"#code-{language}")
    return page.text_content("#code")


def test_a_face(page, png, engine):
    choose(page, png)
    type_keys(page)
    send(page)
    content = response(page)
    image = base64.b64encode(png).decode()
    expected = analyze_face({"Image": image}, engine)["Response"]
    assert content["FaceShapeSet"] == expected["FaceShapeSet"]
    assert len(drawn(page)) == 90
    np.testing.assert_allclose(drawn(page), points(content) + 0.5)  # the pixels' centres
    status = page.inner_text("#status")
    assert all(words in status for words in ("OK", "1 face", "90 points", " ms"))
    assert page.get_attribute("#image", "alt") == "The picture that was sent: astronaut.png"


def test_groups_and_places(page, png):
    choose(page, png)
    type_keys(page)
    send(page)
    content = response(page)
    visible = page.locator("#stage .group:not([hidden]) circle")
    page.click('#legend [data-group="Mouth"]')
    assert visible.count() == 90 - 22
    page.click('#legend [data-group="Mouth"]')
    assert visible.count() == 90

    page.click("#zoom")
    chin = page.locator('circle[data-path="FaceShapeSet.0.FaceProfile.10"]')
    chin.hover(force=True)  # the picture's frame takes the pointer
    place = page.locator("#response .place.current")
    assert json.loads(place.inner_text()) == content["FaceShapeSet"][0]["FaceProfile"][10]
    assert place.get_attribute("data-path") == "FaceShapeSet.0.FaceProfile.10"
    box, frame = place.bounding_box(), page.locator("#response").bounding_box()
    assert frame["y"] <= box["y"] <= frame["y"] + frame["height"]
    assert page.inner_text("#stage .tip").startswith("FaceProfile[10]")

    tip_of_nose = page.locator('.place[data-path="FaceShapeSet.0.Nose.0"]')
    tip_of_nose.hover()
    current = page.locator("#stage circle.current")
    assert current.get_attribute("data-path") == "FaceShapeSet.0.Nose.0"

    page.focus("#stage svg")
    for key in ("Home", "ArrowRight", "ArrowRight", "ArrowLeft"):
        page.keyboard.press(key)
    assert current.get_attribute("data-path") == "FaceShapeSet.0.FaceProfile.1"
    assert page.inner_text("#announcer").startswith("FaceProfile[1]")
    page.keyboard.press("Escape")
    assert current.count() == 0


def test_what_was_sent_is_shown(page, png):
    sent = []
    page.on("request", lambda request: sent.append(request) if request.method == "POST" else None)
    choose(page, png)
    page.select_option("#parameter-Mode", "1")
    type_keys(page)
    send(page)
    [request] = sent
    headers = request.all_headers()
    page.click("#tab-request")
    head, _, body = page.inner_text("#request").partition("\n\n")
    for line in head.splitlines()[1:]:
        name, _, value = line.partition(": ")
        assert headers[name.lower()] == value
    assert json.loads(body)["Mode"] == 1
    assert len(body) < 500
    assert json.loads(request.post_data)["Mode"] == 1
    page.click("#tab-signature")
    assert page.inner_text("#authorization") == headers["authorization"]
    assert "x-tc-action:analyzeface" in page.inner_text("#canonical-request")
    assert page.inner_text("#string-to-sign").startswith("TC3-HMAC-SHA256\n")
    assert SECRET_KEY not in page.inner_text("body") + str(headers) + request.post_data[-200:]


def test_the_signature_is_the_servers(page):
    script = """async ([secretKey, headers, payload, timestamp]) => {
        const {sha256, tc3} = await import("/explorer/signing.js");
        const request = {headers, payloadHash: await sha256(payload), timestamp};
        return (await tc3(request, {secretId: "id", secretKey})).signature;
    }"""
    for secret_key, headers, payload, timestamp in (
        ("Gu5t9xGARNpq86cd98joQYCN3EXAMPLE", {"content-type": "a", "host": "b"}, "", 1551113065),
        (SECRET_KEY, {"content-type": "application/json", "host": "[::1]:8360"}, "{}", 0),
        ("密钥 'ü'", {"host": "h", "x-tc-action": "analyzeface"}, '{"图": "片"}', 1709251199),
    ):
        pairs = list(headers.items())
        signature = page.evaluate(script, [secret_key, pairs, payload, timestamp])
        assert signature == tc3_signature(
            secret_key,
            method="POST",
            query="",
            headers=pairs,
            payload=payload.encode(),
            timestamp=timestamp,
            service="iai",
        )


def run_code(text, suffix, folder):
    """Run a program in a folder, and return what it prints, from JSON."""
    program = folder / f"program{suffix}"
    program.write_text(text, "utf-8")
    interpreter = {".py": sys.executable, ".sh": shutil.which("bash")}[suffix]
    quiet = {key: value for key, value in os.environ.items() if "proxy" not in key.lower()}
    keys = {"TENCENTCLOUD_SECRET_ID": SECRET_ID, "TENCENTCLOUD_SECRET_KEY": SECRET_KEY}
    done = subprocess.run(
        [interpreter, program.name],
        cwd=folder,
        env=quiet | keys,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    content = json.loads(done.stdout)
    return content.get("Response", content)


@pytest.mark.parametrize("name", ["astronaut.png", "a \"b\" 'c' $d \\e #{f} `g` %s 图.png"])
def test_the_code_answers_the_same(name, page, png, tmp_path):
    (tmp_path / name).write_bytes(png)
    choose(page, png, name)
    page.select_option("#parameter-FaceModelVersion", "3.0")
    page.select_option("#parameter-Mode", "1")
    type_keys(page)
    send(page)
    for language in RUNNABLE:
        text = code(page, language)
        assert SECRET_KEY not in text
        assert len(text) < 3000
        answer = run_code(text, LANGUAGES[language], tmp_path)
        assert answer["FaceShapeSet"] == response(page)["FaceShapeSet"]


def test_the_code_is_well_formed(visit, signed_port, open_port, tmp_path):
    for port in (signed_port, open_port):
        page = visit(port)
        page.click("text=DetectFace")
        page.fill("#parameter-MaxFaceNum", "5")
        page.click("#tab-code")
        page.fill("#code-path", "a \"b\" 'c' $d \\e #{f} `g` %s 图.png")
        from_file = {language: code(page, language) for language in LANGUAGES}
        page.fill("#url", 'http://h/it\'s?a="b"&$c')
        from_url = {language: code(page, language) for language in LANGUAGES}
        for language, text in [*from_file.items(), *from_url.items()]:
            assert not any(word in text for word in ("undefined", "null", "[object"))
            for word in (f"127.0.0.1:{port}", "DetectFace", "MaxFaceNum"):
                assert word in text, (language, text)
            check_syntax(language, text, tmp_path)
        if port == signed_port:
            assert all("TENCENTCLOUD_SECRET_KEY" in text for text in from_file.values())


def check_syntax(language, text, folder):
    path = folder / f"Main{LANGUAGES[language]}"
    path.write_text(text, "utf-8")
    if language == "python":
        ast.parse(text)
    elif language in CHECKERS and shutil.which(CHECKERS[language][0]):
        done = subprocess.run([*CHECKERS[language], path], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr + done.stdout


def test_a_wrong_key_is_refused(page, png):
    choose(page, png)
    type_keys(page, "wrong")
    send(page)
    assert "AuthFailure.SignatureFailure" in page.inner_text("#status")
    assert response(page)["Error"]["Code"] == "AuthFailure.SignatureFailure"
    assert drawn(page).size == 0
    type_keys(page, "")
    send(page)
    assert "AuthFailure.InvalidAuthorization" in page.inner_text("#status")
    assert "type in a SecretId" in page.inner_text("#status")


def test_a_server_that_checks_nothing(visit, open_port, png, tmp_path):
    page = visit(open_port)
    choose(page, png)
    send(page)
    assert len(drawn(page)) == 90
    page.click("#tab-request")
    assert "Authorization" not in page.inner_text("#request")
    (tmp_path / "astronaut.png").write_bytes(png)
    for language in RUNNABLE:
        answer = run_code(code(page, language), LANGUAGES[language], tmp_path)
        np.testing.assert_array_equal(points(answer), points(response(page)))


def test_a_page_that_may_not_sign(visit, signed_port, open_port, png):
    """Browsers sign on https and localhost pages only; this one has another name."""
    for port, words in ((open_port, "90 points"), (signed_port, "Browsers sign only on https")):
        page = visit(port, "faceshape.test")
        assert "Browsers sign only" in page.inner_text("#keys-about")
        choose(page, png)
        type_keys(page)
        send(page)
        assert words in page.inner_text("#status")
        page.click("#tab-signature")
        assert "Browsers sign only" in page.inner_text("#signature-about")
        page.click("#tab-response")
        page.click('[data-copy="response"]')
        assert page.evaluate("String(getSelection())").startswith('{\n  "Response"')


def test_a_picture_given_as_url(visit, serving, engine, png):
    policy = FetchPolicy(allow_urls=True, allow_private_urls=True)
    with (
        http_server(png) as pictures,
        serving(replace(settings(None), urls=policy), engine) as port,
    ):
        page = visit(port)
        page.fill("#url", f"http://127.0.0.1:{pictures}/astronaut.png")
        send(page)
        assert len(drawn(page)) == 90
        assert page.locator("#image").is_hidden()
        assert "loads nothing from other hosts" in page.inner_text("#status")
        assert '"Url"' in code(page, "curl")
        page.context.close()


@contextlib.contextmanager
def http_server(content):
    """Serve bytes at every path of a free loopback port."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


def test_keys_are_kept_only_when_asked(page):
    stored = "JSON.stringify(Object.values(localStorage))"
    type_keys(page)
    page.press("#secret-key", "Tab")
    assert SECRET_KEY not in page.evaluate(stored)
    page.check("#remember")
    assert SECRET_KEY in page.evaluate(stored)
    page.reload()
    page.wait_for_selector("html[data-ready]")
    assert page.input_value("#secret-key") == SECRET_KEY
    page.uncheck("#remember")
    assert SECRET_KEY not in page.evaluate(stored)


def test_chinese_and_english(page, png):
    page.click("#language-zh")
    assert page.get_attribute("html", "lang") == "zh-CN"
    assert page.inner_text("#send") == "发送"
    choose(page, encode(np.full((80, 80, 3), 90, np.uint8), "PNG"))
    type_keys(page)
    send(page)
    assert "图片中没有人脸" in page.inner_text("#status")  # the server's message, too
    page.click("#language-en")
    assert page.get_attribute("html", "lang") == "en"
    assert page.inner_text("#send") == "Send"
    page.reload()
    page.wait_for_selector("html[data-ready]")
    assert page.inner_text("#send") == "Send"
    script = 'import("/explorer/texts.js").then(({WORDS}) => WORDS)'
    words = page.evaluate(script)
    assert words["en"].keys() == words["zh"].keys()
    sources = "".join(
        path.read_text("utf-8") for path in page_folder().rglob("*.*") if path.name != "texts.js"
    )
    assert [name for name in words["en"] if name not in sources and name[:5] != "about"] == []


def page_folder() -> Path:
    import faceshape.tencent.server.explorer as explorer

    return Path(explorer.__file__).parent / "page"


def test_photographs_of_phones(page, portrait):
    """What the browser shows upright is where the server's points are."""
    upright = np.ascontiguousarray(portrait[:, 20:])  # not square: 236 × 256
    upright[:32, :32] = (255, 0, 0)
    type_keys(page)
    for orientation in range(1, 9):
        check_orientation(orientation, page, upright)


def check_orientation(orientation, page, upright):
    turns = {3: 2, 4: 2, 5: 1, 6: 1, 7: 3, 8: 3}.get(orientation, 0)
    stored = np.rot90(upright[:, ::-1] if orientation in (2, 4, 5, 7) else upright, turns)
    exif = Image.Exif()
    exif[0x0112] = orientation
    jpeg = encode(np.ascontiguousarray(stored), "JPEG", quality=95, exif=exif)
    choose(page, jpeg, "phone.jpg")
    assert page.inner_text("#picture-about").startswith("236 × 256")
    assert page.locator("#picture-note").is_hidden()
    send(page)
    content = response(page)
    assert (content["ImageWidth"], content["ImageHeight"]) == (236, 256)
    corner = page.evaluate("""() => {
        const canvas = document.createElement("canvas");
        const context = canvas.getContext("2d");
        context.drawImage(document.getElementById("image"), 0, 0);
        return [...context.getImageData(8, 8, 1, 1).data];
    }""")
    np.testing.assert_allclose(corner[:3], [255, 0, 0], atol=30)
    size = page.locator("#image").bounding_box()
    assert size["width"] / size["height"] == pytest.approx(236 / 256, abs=0.01)
    [shape] = content["FaceShapeSet"]
    assert shape["LeftPupil"][0]["X"] < shape["RightPupil"][0]["X"]
    assert shape["LeftPupil"][0]["Y"] < shape["Mouth"][0]["Y"]


def test_a_turned_png_is_sent_as_it_is_shown(page, portrait):
    exif = Image.Exif()
    exif[0x0112] = 6
    choose(page, encode(portrait[:200], "PNG", exif=exif), "turned.png")
    type_keys(page)
    page.select_option("#parameter-NeedRotateDetection", "1")  # if this browser does not turn it
    send(page)
    content = response(page)
    about = page.inner_text("#picture-about")
    assert about.startswith(f"{content['ImageWidth']} × {content['ImageHeight']}")


def test_pictures_that_the_api_does_not_take(page):
    type_keys(page)
    for pixels, kind, words, size in (
        ((2300, 1200), "PNG", "over the API's limits", (1200, 2300)),
        ((4400, 900), "JPEG", "over the API's limits", (818, 4000)),
        ((300, 200), "GIF", "The API takes no", (200, 300)),
        ((300, 200), "WEBP", "The API takes no", (200, 300)),
        ((300, 63), "PNG", "63 × 300 pixels: the short side must have at least 64", None),
        ((9000, 70), "PNG", "too long and narrow", None),
    ):
        name = f"{kind}-{pixels[0]}.{kind.lower()}"
        choose(page, encode(np.full((*pixels, 3), 200, np.uint8), kind), name)
        page.wait_for_function(WITH_NOTE, arg=words)
        if size is None:
            page.click("#send")
            assert page.inner_text("#picture-note") == "Choose a picture first, or give a Url."
        else:
            check_copy(page, size)


WITH_NOTE = "words => document.getElementById('picture-note').textContent.includes(words)"


def check_copy(page, size):
    send(page)
    page.click("#tab-request")
    assert "/9j/" in page.inner_text("#request")  # a JPEG
    assert "NoFaceInPhoto" in page.inner_text("#status")
    with page.expect_download() as download:
        page.click("#picture-note a")
    with Image.open(download.value.path()) as copy:
        assert copy.size == size


def test_a_heavy_picture_is_reduced(page):
    noise = np.random.default_rng(0).integers(0, 256, (1200, 1200, 3), np.uint8)
    choose(page, encode(noise, "PNG", compress_level=0), "noise.png")
    assert "over the API's limits" in page.inner_text("#picture-note")
    type_keys(page)
    send(page)
    assert "NoFaceInPhoto" in page.inner_text("#status")


def test_what_is_no_picture(page, png):
    choose(page, b"hello", "letter.txt")
    assert "letter.txt is no picture" in page.inner_text("#picture-note")
    choose(page, png)
    page.locator("#picture-note").wait_for(state="hidden")


@pytest.mark.parametrize("kind", ["drop", "paste"])
def test_a_picture_that_is_dropped_or_pasted(kind, page, png):
    script = """([kind, text]) => {
        const bytes = Uint8Array.from(atob(text), (one) => one.charCodeAt(0));
        const data = new DataTransfer();
        data.items.add(new File([bytes], "mine.png", {type: "image/png"}));
        const event = kind === "drop"
            ? new DragEvent("drop", {dataTransfer: data, bubbles: true, cancelable: true})
            : new ClipboardEvent("paste", {clipboardData: data, bubbles: true, cancelable: true});
        document.body.dispatchEvent(event);
        return event.defaultPrevented;
    }"""
    assert page.evaluate(script, [kind, base64.b64encode(png).decode()])
    page.wait_for_selector("#picture-name:not([hidden])")
    assert page.inner_text("#picture-name") == "mine.png"


def test_a_photograph(page):
    page.click("#photograph")
    page.wait_for_function("() => document.getElementById('viewfinder').videoWidth > 0")
    page.click("#shutter")
    page.wait_for_selector("#picture-name:not([hidden])")
    assert page.inner_text("#picture-name") == "photo.jpg"
    assert page.evaluate("document.getElementById('viewfinder').srcObject") is None


def test_the_boxes_of_detect_face(page, png):
    choose(page, png)
    page.click("text=DetectFace")
    type_keys(page)
    send(page)
    content = response(page)
    boxes = page.locator("#stage rect")
    [face] = content["FaceInfos"]
    assert boxes.count() == 1
    for name in ("X", "Y", "Width", "Height"):
        assert float(boxes.get_attribute(name.lower())) == face[name]
    assert "1 face" in page.inner_text("#status")
    boxes.hover(force=True, position={"x": 0, "y": 5})
    assert page.get_attribute("#response .place.current", "data-path") == "FaceInfos.0"


def test_a_server_that_is_gone(page, png, complaints):
    choose(page, png)
    type_keys(page)
    page.route("**/", lambda route: route.fulfill(status=200, body="<h1>Bad gateway</h1>"))
    send(page)
    assert "no JSON of the API (status 200)" in page.inner_text("#status")
    page.unroute("**/")
    page.route("**/", lambda route: route.abort())
    page.click("#send")
    page.wait_for_selector("text=does not answer")
    assert drawn(page).size == 0
    assert all("Failed to load resource" in line for line in complaints)
    complaints.clear()


def test_narrow_and_wide_screens(page, png):
    choose(page, png)
    type_keys(page)
    send(page)
    for width in (320, 800, 1400):
        page.set_viewport_size({"width": width, "height": 700})
        for language in ("zh", "en"):
            page.click(f"#language-{language}")
            for tab in ("request", "signature", "code", "response"):
                page.click(f"#tab-{tab}")
                assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_the_keyboard_reaches_everything_by_name(page, png):
    choose(page, png)
    type_keys(page)
    page.focus("#secret-key")
    page.keyboard.press("Control+Enter")
    page.wait_for_selector("#status.good")
    page.click("h1")  # from here on
    script = """() => {
        const one = document.activeElement;
        const style = getComputedStyle(one);
        const name = one.id || one.dataset.group || one.dataset.copy || one.tagName;
        return [name, style.outlineStyle];
    }"""
    reached = []
    for _ in range(60):
        page.keyboard.press("Tab")
        name, outline = page.evaluate(script)
        if name == "BODY":
            break
        reached.append(name)
        assert outline != "none" or name in ("result",), name
    for name in ("language-zh", "choose", "photograph", "url", "parameter-Mode", "secret-id"):
        assert name in reached
    for name in ("remember", "send", "zoom", "Mouth", "tab-response", "response"):
        assert name in reached
    tree = page.context.new_cdp_session(page).send("Accessibility.getFullAXTree")["nodes"]
    for node in tree:
        properties = {one["name"]: one["value"].get("value") for one in node.get("properties", ())}
        role = node["role"]["value"]
        if properties.get("focusable") and role not in ("RootWebArea", "generic", "none"):
            assert node["name"]["value"], node
