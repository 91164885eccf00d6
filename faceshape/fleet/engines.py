"""Who runs the chunks: processes of this machine, or a Ray cluster. No scheduler of our own."""

from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from itertools import islice
from queue import SimpleQueue

from faceshape.errors import FaceShapeError, ParameterError
from faceshape.fleet.chunks import ChunkReport, read_run, run_chunk
from faceshape.fleet.sandbox import Sandbox

__all__ = ["EngineError", "on_local", "on_ray"]


class EngineError(FaceShapeError):
    """Whoever runs the chunks cannot, or has lost one."""


def on_local(
    out: str, chunks: Sequence[int], workers: int, retry: Collection[str] = ()
) -> Iterator[ChunkReport]:
    """Run chunks in so many child processes of this one; reports come as chunks are done.

    Args:
        out: the folder of the run.
        chunks: their numbers, from `faceshape.fleet.pending` for example.
        workers: processes, at least 1.
        retry: as for `faceshape.fleet.run_chunk`.

    Raises:
        ParameterError: workers is below 1.
        FaceShapeError: as `faceshape.fleet.run_chunk`; chunks that are done stay done.
    """
    if workers < 1:
        raise ParameterError(f"workers must be at least 1, not {workers}")
    settings = read_run(out).settings
    sandboxes = [Sandbox(settings) for _ in range(workers)]
    free: SimpleQueue[Sandbox] = SimpleQueue()
    for sandbox in sandboxes:
        free.put(sandbox)

    def run(index: int) -> ChunkReport:
        sandbox = free.get()
        try:
            return run_chunk(out, index, sandbox, retry)
        finally:
            free.put(sandbox)

    waiting = iter(chunks)
    running: set[Future[ChunkReport]] = set()
    with ThreadPoolExecutor(workers) as pool:
        try:
            while True:
                missing = workers - len(running)
                running |= {pool.submit(run, index) for index in islice(waiting, missing)}
                if not running:
                    return
                done, running = wait(running, return_when=FIRST_COMPLETED)
                for future in done:
                    yield future.result()
        finally:
            for sandbox in sandboxes:  # whoever stops does not wait for the rest of whole chunks
                sandbox.close()


def on_ray(
    out: str, chunks: Sequence[int], address: str | None = None, retry: Collection[str] = ()
) -> Iterator[ChunkReport]:
    """Run chunks as tasks of a Ray cluster, one processor each; OUT must be seen by all nodes.

    Args:
        out: the folder of the run.
        chunks: their numbers.
        address: of the cluster; None is one that runs on this machine, or a new one there.
        retry: as for `faceshape.fleet.run_chunk`.

    Raises:
        EngineError: there is no cluster, or a chunk was lost more often than nodes explain.
        FaceShapeError: as `faceshape.fleet.run_chunk`.
    """
    import ray

    if not ray.is_initialized():
        try:
            ray.init(address=address, log_to_driver=False)
        except Exception as error:  # it raises that itself if a node is late
            raise EngineError(f"Ray does not start: {error}") from error
    # A task that is lost with its node runs again: a chunk that is done is only reported then.
    task = ray.remote(num_cpus=1, max_retries=5, max_calls=0)(run_chunk)
    waiting, running = iter(chunks), list[object]()
    while True:
        # Each time, because clusters grow with what waits.
        processors = max(1, int(ray.cluster_resources().get("CPU", 1)))
        missing = 4 * processors - len(running)
        running += [task.remote(out, i, None, tuple(retry)) for i in islice(waiting, missing)]
        if not running:
            return
        done, running = ray.wait(running)
        try:
            yield from ray.get(done)
        except ray.exceptions.RayError as error:
            cause = getattr(error, "cause", None)
            if isinstance(cause, FaceShapeError):
                raise cause from None
            raise EngineError(f"Ray lost a chunk: {error}") from error
