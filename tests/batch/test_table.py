import csv
import io

import numpy as np

from faceshape.batch.answer import BatchResult
from faceshape.batch.table import CsvTable
from faceshape.core.contract import GROUPS
from faceshape.errors import NoFaceError
from faceshape.tencent.api import error_response, face_response


def test_the_table_has_the_points_by_their_names(face):
    file = io.StringIO(newline="")
    table = CsvTable(file)
    two, nobody = 'two, "quoted".png', "nobody.png"
    table.add(BatchResult.of(two, face_response([face, face], (256, 256))))
    table.add(BatchResult.of(nobody, error_response(NoFaceError(), "zh-CN"), "nobody"))
    file.seek(0)
    rows = list(csv.DictReader(file))
    assert [(row["Path"], row["Face"]) for row in rows] == [
        ('two, "quoted".png', "0"),
        ('two, "quoted".png', "1"),
    ]
    assert len(rows[0]) == 2 + 180
    for group in GROUPS:
        for member, point in enumerate(np.floor(face.group(group)).astype(int).tolist()):
            found = [int(rows[0][f"{group}_{member}_{axis}"]) for axis in "XY"]
            assert found == point
