import json
import threading

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from faceshape.fleet import FleetSettings, on_local, pending, plan, run_chunk, status
from faceshape.fleet.chunks import RunError, _rate, _Work
from faceshape.fleet.schema import answer_schema
from faceshape.fleet.store import Place, StoreError


@pytest.fixture
def out(tmp_path) -> str:
    return str(tmp_path / "out")


def answers_of(out):
    return pq.read_table(f"{out}/answers")


def test_rows_in_are_rows_out_in_their_order(album, out, engine):
    run = plan(str(album), out, chunk=4)
    assert (run.pictures, run.chunks) == (9, 3)
    reports = list(on_local(out, pending(out), workers=2))
    assert sorted(report.index for report in reports) == [0, 1, 2]
    planned = pq.read_table(f"{out}/plan").column("path").to_pylist()
    assert len(set(planned)) == 9
    table = answers_of(out)
    assert table.column("path").to_pylist() == planned
    rows = {row["path"]: row for row in table.to_pylist()}
    for name in ("0.jpg", "more/5.png"):
        [face] = engine.analyze(album / name)
        [found] = rows[str(album / name)]["faces"]
        assert found["points"] == pytest.approx(face.points.ravel().tolist(), abs=1 / 64 + 1e-4)
    assert rows[str(album / "blank.png")]["faces"] == []
    assert rows[str(album / "blank.png")]["error_code"] is None
    assert rows[str(album / "broken.jpg")]["error_code"] == "FailedOperation.ImageDecodeFailed"
    assert pending(out) == []
    found = status(out)
    assert (found.done, found.answered) == (3, 9)
    assert found.errors == {"FailedOperation.ImageDecodeFailed": 1}
    assert found.rate > 0
    assert found.seconds_left == 0


def test_the_schema_is_there_without_a_face(album, out, sandbox):
    plan(str(album), out, chunk=3)
    for index in pending(out):
        run_chunk(out, index, sandbox)
    schemas = [pq.read_schema(path).remove_metadata() for path in Place(f"{out}/answers").walk()]
    assert schemas == [answer_schema(FleetSettings()).remove_metadata()] * 3
    metadata = pq.read_schema(next(Place(f"{out}/answers").walk())).metadata
    assert set(json.loads(metadata[b"faceshape.models"])) >= {"detector", "landmarks"}
    assert json.loads(metadata[b"faceshape.settings"])["mode"] == 0


def test_a_chunk_is_done_once(album, out, sandbox):
    plan(str(album), out, chunk=5)
    first = run_chunk(out, 0, sandbox)
    again = run_chunk(out, 0, sandbox)
    assert first.seconds > 0
    assert first.analyzed == 5
    assert (again.seconds, again.analyzed) == (0, 0)
    assert again.errors == first.errors
    assert pending(out) == [1]


def test_the_rate_does_not_count_stops():
    # Two at once for 10 s; a stop of 80 s; one in the middle of another's 10 s.
    works = [(10.0, 10.0, 30), (10.0, 8.0, 20), (100.0, 10.0, 40), (96.0, 2.0, 10), None]
    assert _rate([work and _Work(*work) for work in works]) == 100 / 20
    assert _rate([None]) is None


def test_planning_again(album, out):
    assert plan(str(album), out, chunk=5) == plan(str(album), out, chunk=5)
    with pytest.raises(RunError, match="other settings"):
        plan(str(album), out, chunk=5, settings=FleetSettings(rotate=True))
    with pytest.raises(RunError, match="other settings"):
        plan(str(album), out, chunk=6)


def test_inventories(album, out, tmp_path):
    names = [str(album / "0.jpg"), str(album / "blank.png"), "missing\r.jpg"]
    pq.write_table(pa.table({"path": names}), tmp_path / "list.parquet")
    plan(str(tmp_path / "list.parquet"), out)
    assert pq.read_table(f"{out}/plan").column("path").to_pylist() == names
    (tmp_path / "list.txt").write_bytes("\ufeff0.jpg\r\n\r\n图.png\n".encode())
    plan(str(tmp_path / "list.txt"), f"{out}2")
    assert pq.read_table(f"{out}2/plan").column("path").to_pylist() == ["0.jpg", "图.png"]


def test_what_is_no_run(album, out, tmp_path, sandbox):
    (tmp_path / "empty").mkdir()
    with pytest.raises(RunError, match="no pictures"):
        plan(str(tmp_path / "empty"), out)
    with pytest.raises(RunError, match="is not there"):
        plan(str(tmp_path / "nothing"), out)
    with pytest.raises(RunError, match="not planned"):
        pending(out)
    plan(str(album), out)
    with pytest.raises(RunError, match="chunks 0 to 0"):
        run_chunk(out, 1, sandbox)
    Place(out).child("_run.json").write(b"{")
    with pytest.raises(RunError, match="cannot be read"):
        pending(out)


def test_errors_are_tried_again(album, out, tmp_path, portrait, sandbox):
    names = [str(album / "0.jpg"), str(tmp_path / "late.png"), str(album / "blank.png")]
    (tmp_path / "list.txt").write_text("\n".join(names))
    plan(str(tmp_path / "list.txt"), out)
    code = "FailedOperation.ImageDecodeFailed"
    assert run_chunk(out, 0, sandbox).errors == {code: 1}
    before = answers_of(out)
    (tmp_path / "late.png").write_bytes((album / "more/1.png").read_bytes())
    assert run_chunk(out, 0, sandbox, retry=["FailedOperation.ServerError"]).errors == {code: 1}
    tried = run_chunk(out, 0, sandbox, retry=[code])
    assert (tried.errors, tried.pictures, tried.analyzed) == ({}, 3, 1)
    after = answers_of(out)
    assert after.column("path").to_pylist() == names
    assert after.take([0, 2]).equals(before.take([0, 2]))
    assert len(after.column("faces")[1]) == 1


def test_a_file_is_there_as_a_whole_or_not_at_all(tmp_path):
    (tmp_path / "folder").write_text("a file where a folder should be")
    with pytest.raises(StoreError):
        Place(str(tmp_path / "folder" / "x")).write(b"1")
    place = Place(str(tmp_path / "new" / "x"))
    writers = [threading.Thread(target=place.write, args=(bytes([i]) * 10_000,)) for i in range(8)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    content = place.read()
    assert len(content) == 10_000
    assert len(set(content)) == 1
    assert place._files.get_file_info(str(tmp_path / "new" / "x")).size == 10_000
    assert [p.name for p in (tmp_path / "new").iterdir()] == ["x"]


def test_stopping_does_not_wait_for_whole_chunks(album, out):
    plan(str(album), out, chunk=1)
    reports = on_local(out, pending(out), workers=2)
    next(reports)
    reports.close()
    assert 0 < len(pending(out)) < 9
