"""A process that is forked off one with a used engine works, and ends.

Left alone, onnxruntime lets such a child wait for ever at its end, for threads that it has not.
Each test runs a program of its own, which is given up after a while.
"""

import os
import signal
import socket
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from urllib.request import urlopen

import pytest
from PIL import Image

import faceshape

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")

START = """
import faceshape, gc, os, sys, threading
engine = faceshape.FaceShapeEngine(threads={threads})
expected = engine.analyze("photo.png")[0].points.tolist()
def look():
    assert engine.analyze("photo.png")[0].points.tolist() == expected
    return os.getpid()
def ended(child):
    assert os.waitpid(child, 0)[1] == 0
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory, portrait):
    work = tmp_path_factory.mktemp("fork")
    Image.fromarray(portrait).save(work / "photo.png")
    return work


@pytest.fixture(scope="module")
def environment():
    source = str(Path(faceshape.__file__).parents[1])
    return os.environ | {"PYTHONPATH": source, "PYTHONWARNINGS": "ignore:This process"}


@pytest.fixture
def run(folder, environment):
    def run(code: str, threads: int = 2) -> None:
        command = [sys.executable, "-c", START.format(threads=threads) + code]
        # The program's children are of its session: none of them outlives it.
        with subprocess.Popen(
            command,
            stdout=-1,
            stderr=-1,
            text=True,
            cwd=folder,
            env=environment,
            start_new_session=True,
        ) as program:
            try:
                output, complaints = program.communicate(timeout=60)
            except subprocess.TimeoutExpired:
                os.killpg(program.pid, signal.SIGKILL)
                pytest.fail("it does not end")
        assert (program.returncode, complaints) == (0, "")
        assert output == "done\n"

    return run


@pytest.mark.parametrize("threads", [1, 2, 4])
@pytest.mark.parametrize("work", ["look()", "pass", "del engine; gc.collect()", "engine.warm_up()"])
def test_a_forked_child_works_and_ends(run, threads, work):
    code = f"""
child = os.fork()
if not child:
    {work}
    sys.exit(0)
ended(child)
look()
print("done")
"""
    run(code, threads)


def test_children_of_children_work_and_end(run):
    run("""
child = os.fork()
if not child:
    grandchild = os.fork()
    look()
    if grandchild:
        ended(grandchild)
    sys.exit(0)
ended(child)
print("done")
""")


def test_threads_of_a_child_share_what_is_opened_anew(run):
    run("""
child = os.fork()
if not child:
    threads = [threading.Thread(target=look) for _ in range(4)]
    for each in threads: each.start()
    for each in threads: each.join()
    sys.exit(0)
ended(child)
print("done")
""")


def test_a_fork_amid_other_threads_work(run):
    run("""
over = threading.Event()
def keep_looking():
    while not over.is_set(): look()
threads = [threading.Thread(target=keep_looking) for _ in range(2)]
for each in threads: each.start()
for _ in range(4):
    child = os.fork()
    if not child:
        look()
        sys.exit(0)
    ended(child)
over.set()
for each in threads: each.join()
print("done")
""")


@pytest.mark.parametrize("detector", ["dlib", "onnx"])
def test_multiprocessing(run, detector):
    run(f"""
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
engine = faceshape.FaceShapeEngine("{detector}")
expected = engine.analyze("photo.png")[0].points.tolist()
context = multiprocessing.get_context("fork")
one = context.Process(target=look)
one.start()
one.join()
assert one.exitcode == 0
with context.Pool(2) as pool:
    assert os.getpid() not in [pool.apply(look) for _ in range(4)]
    pool.close()
    pool.join()
with ProcessPoolExecutor(2, mp_context=context) as pool:
    assert pool.submit(look).result() != os.getpid()
print("done")
""")


@pytest.mark.skipif(not find_spec("billiard"), reason="billiard is not installed")
def test_celerys_prefork_pool(run):
    """Celery's workers are processes of billiard."""
    run("""
from billiard.pool import Pool
with Pool(2) as pool:
    assert os.getpid() not in [pool.apply(look) for _ in range(4)]
    pool.close()
    pool.join()
print("done")
""")


WSGI = (
    START.format(threads=2)
    + """
def application(environment, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [str(look()).encode()]
"""
)


@pytest.mark.skipif(not find_spec("gunicorn"), reason="gunicorn is not installed")
@pytest.mark.parametrize("worker", ["sync", "gthread"])
def test_gunicorn_with_preload(worker, folder, environment):
    (folder / "program.py").write_text(WSGI)
    with socket.create_server(("127.0.0.1", 0)) as listening:  # who connects early waits
        address = f"http://127.0.0.1:{listening.getsockname()[1]}/"
        command = [
            *(sys.executable, "-m", "gunicorn", "program", "--preload", "--workers", "2"),
            *("--worker-class", worker, "--threads", "1" if worker == "sync" else "2"),
            *("--bind", f"fd://{listening.fileno()}", "--graceful-timeout", "15"),
        ]
        with subprocess.Popen(
            command,
            cwd=folder,
            env=environment,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            pass_fds=[listening.fileno()],
        ) as server:
            try:
                workers = {_answer(address) for _ in range(8)}
                server.terminate()
                _, log = server.communicate(timeout=60)
            except BaseException:
                os.killpg(server.pid, signal.SIGKILL)
                raise
    assert server.pid not in workers
    assert server.returncode == 0
    assert "SIGKILL" not in log
    assert "Shutting down" in log


def _answer(address: str) -> int:
    with urlopen(address, timeout=30) as answer:
        return int(answer.read())
