"""What reads our own files names the file and the fix, whatever the file holds."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ganvas import files, records
from ganvas.errors import RequestError

OLD = Path(__file__).parent / "data" / "v0.1"


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return Path(shutil.copytree(OLD / "run", tmp_path / "run"))


def test_what_is_written_is_read(tmp_path: Path) -> None:
    files.write_json(tmp_path / "a.json", {"version": 1, "ü": [None]})
    assert files.read_json(tmp_path / "a.json", records.Versioned) == {"version": 1, "ü": [None]}
    files.write_arrays(tmp_path / "a.npz", {"x": np.arange(3)})
    assert files.read_arrays(tmp_path / "a.npz")["x"].tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    "data", [b"", b"{", b"\xff\xfe\x00", b"[" * 100_000, b"null", b"[]", b'{"version": ' + b"9" * 5000 + b"}"]
)
def test_a_damaged_json_is_named(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(data)
    with pytest.raises(RequestError, match=r"a\.json is damaged .*; copy it back, or make it again"):
        files.read_json(tmp_path / "a.json", records.Versioned)


@pytest.mark.parametrize("keep", [0, 4, 40, -30])
def test_a_damaged_npz_is_named(keep: int, tmp_path: Path) -> None:
    data = (OLD / "directions.npz").read_bytes()
    (tmp_path / "a.npz").write_bytes(data[:keep])
    with pytest.raises(RequestError, match=r"a\.npz is damaged"):
        files.read_arrays(tmp_path / "a.npz")


def test_an_old_record_and_its_log_are_read(run: Path) -> None:
    assert records.read_record(run)["options"]["beta1"] == 0.5  # also what no type names
    assert [line["step"] for line in records.read_log(run)] == [2, 4, 6]


def spoil(path: str, value: Any) -> Callable[[dict[str, Any]], None]:
    """Puts a value at 'a.b' of a record."""

    def at(record: dict[str, Any]) -> None:
        *above, last = path.split(".")
        for key in above:
            record = record[key]
        record[last] = value

    return at


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("seed", "3"),
        ("seed", -1),
        ("options", []),
        ("options.size", 1e9),
        ("data.shape", [1, 8, 8, 8]),
        ("data.shape", [0]),
        ("data.class_names", None),
        ("budget.minutes", float("nan")),
        ("budget", None),
        ("rollbacks", [{}]),
        ("plan.channels_last", 3),
    ],
)
def test_a_record_with_a_wrong_type_names_it(run: Path, path: str, value: object) -> None:
    record = json.loads((run / files.RECORD).read_bytes())
    spoil(path, value)(record)
    (run / files.RECORD).write_text(json.dumps(record))
    with pytest.raises(RequestError, match=rf"recipe\.json is damaged \(ValueError: {path}"):
        records.read_record(run)


@pytest.mark.parametrize(
    "line", ["[]", '{"step": 1}', '{"step": 1, "seconds": 0, "x": "y"}', '{"step": 1, "seconds": 0, "findings": [1]}']
)
def test_a_damaged_line_of_a_log_is_named(run: Path, line: str) -> None:
    with (run / files.LOG).open("a") as file:
        file.write(f"{line}\n")
    with pytest.raises(RequestError, match=r"log\.jsonl is damaged"):
        records.read_log(run)


def test_a_file_without_a_name_is_an_error_of_the_system() -> None:
    with pytest.raises(IsADirectoryError):
        files.write(Path(""), b"")
