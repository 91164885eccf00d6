import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from faceshape.errors import DownloadError
from faceshape.fleet import pending, plan, run_chunk, status
from faceshape.fleet.store import Place, StoreError, download


@pytest.fixture(scope="module")
def bucket(album):
    """The album as objects in a bucket of moto's S3."""
    server = pytest.importorskip("moto.server", reason="moto[server]")
    boto3 = pytest.importorskip("boto3")
    s3 = server.ThreadedMotoServer(port=0)
    s3.start()
    host, port = s3.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        patch.setenv("AWS_ACCESS_KEY_ID", "fake")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "fake")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        client = boto3.client("s3")
        client.create_bucket(Bucket="album")
        for path in album.rglob("*.*"):
            client.upload_file(str(path), "album", f"photos/{path.relative_to(album).as_posix()}")
        yield client
    s3.stop()


def test_a_run_from_bucket_to_bucket_with_a_missing_object(bucket, sandbox, tmp_path):
    run = plan("s3://album/photos", "s3://album/out", chunk=5)
    assert run.pictures == 9
    bucket.delete_object(Bucket="album", Key="photos/0.jpg")
    for index in pending("s3://album/out"):
        run_chunk("s3://album/out", index, sandbox)
    assert pending("s3://album/out") == []
    answers = pa.concat_tables(_read("answers", index) for index in (0, 1))
    plans = pa.concat_tables(_read("plan", index) for index in (0, 1))
    assert answers.column("path") == plans.column("path")
    rows = {row["path"]: row for row in answers.to_pylist()}
    assert len(rows) == 9
    assert rows["s3://album/photos/0.jpg"]["error_code"] == "FailedOperation.ImageDownloadError"
    assert len(rows["s3://album/photos/2.jpg"]["faces"]) == 1
    found = status("s3://album/out")
    assert (found.done, found.answered) == (2, 9)
    assert found.rate > 0


def _read(folder, index):
    return pq.read_table(Place(f"s3://album/out/{folder}/chunk-{index:06}.parquet").open_input())


def test_what_cannot_be_had(bucket):
    with pytest.raises(DownloadError, match="is not there"):
        download("s3://album/nothing.jpg")
    with pytest.raises(StoreError, match="cannot open"):
        Place("nonsense://bucket/x")


def test_a_place_that_fails_is_asked_again(monkeypatch):
    tries = []

    def read(self):
        tries.append(self)
        if len(tries) < 3:
            raise OSError("slow down")
        return b"picture"

    monkeypatch.setattr("faceshape.fleet.store.Place.read", read)
    monkeypatch.setattr("faceshape.fleet.store._BACK_OFF_SECONDS", 0)
    assert download("file:///a.jpg") == b"picture"
    tries.clear()
    monkeypatch.setattr("faceshape.fleet.store._ATTEMPTS", 2)
    with pytest.raises(DownloadError, match="slow down"):
        download("file:///a.jpg")


def test_folders_are_walked_in_order(album):
    names = [name.removeprefix(str(album)) for name in Place(str(album)).walk()]
    assert names[:3] == ["/0.jpg", "/2.jpg", "/4.jpg"]
    assert names[-1] == "/more/5.png"
    with pytest.raises(StoreError, match="cannot list"):
        list(Place(str(album / "nothing")).walk())
