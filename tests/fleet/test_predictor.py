import pickle

import pyarrow as pa
import pytest

from faceshape.errors import ParameterError
from faceshape.fleet import FaceShapePredictor, FleetSettings
from faceshape.fleet.schema import answer_schema


@pytest.fixture(scope="module")
def predictor():
    with FaceShapePredictor(FleetSettings(mode=1)) as predictor:
        yield predictor


def test_paths_and_bytes_give_the_same(predictor, album):
    names = [str(album / name) for name in ("0.jpg", "broken.jpg", "blank.png")]
    content = [(album / name).read_bytes() for name in names]
    by_path = predictor(pa.table({"path": names, "other": [1, 2, 3]}))
    by_bytes = predictor(pa.table({"path": names, "bytes": content}))
    assert by_path.schema == answer_schema(FleetSettings(mode=1))
    assert by_path.drop_columns("error_message") == by_bytes.drop_columns("error_message")
    assert [len(faces) for faces in by_path.column("faces")] == [1, 0, 0]
    without = predictor(pa.record_batch({"bytes": pa.array(content, pa.binary())}))
    assert without.column("path").null_count == 3
    assert predictor(pa.table({"path": pa.array([], pa.string())})).num_rows == 0


def test_what_is_no_batch(predictor):
    with pytest.raises(ParameterError, match="path or bytes"):
        predictor(pa.table({"file": ["a"]}))
    with pytest.raises(ParameterError, match="null"):
        predictor(pa.table({"path": pa.array(["a", None], pa.string())}))


def test_spark_gets_lists_of_any_length(predictor, album):
    batch = pa.record_batch({"path": [str(album / "0.jpg"), "missing.jpg"]})
    [answers] = predictor.map_in_arrow([batch])
    assert "fixed_size" not in str(answers.schema)
    assert len(answers.column("faces")[0][0]["points"]) == 180


def test_a_pickled_predictor_has_a_child_of_its_own(predictor, album):
    copy = pickle.loads(pickle.dumps(predictor))
    table = pa.table({"path": [str(album / "0.jpg")]})
    assert copy(table) == predictor(table)
    copy.close()
