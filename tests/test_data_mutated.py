"""Spoiled label files and archives: a sentence or the truth, never an internal error, and no word on a wrong picture.

A picture's brightness is its number, which its class, caption and attribute repeat. So whatever is read of a spoiled
set shows whether anything has moved: a picture may have lost its words, or have those of a line that names it.
"""

from __future__ import annotations

import io
import json
import random
import re
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from ganvas.data import Dataset, open_data
from ganvas.errors import RequestError

QUICK, WHOLE = 60, 1000
COUNT = 6

Random = random.Random


def names(r: Random) -> list[str]:
    """Files n10.png, n11.png, ... in one folder or in several."""
    folders = r.choice([[""], ["a/"], ["a/", "b/"], ["train/", "val/"]])
    return [f"{folders[i % len(folders)]}n{10 + i}.png" for i in range(COUNT)]


def rows(files: list[str]) -> list[tuple[str, int]]:
    return [(file, int(file[-6:-4])) for file in files]


def separated(files: list[str], r: Random) -> str:
    comma = r.choice(",;\t")
    lines = [comma.join(["file_name", "label", "text", "value"])]
    lines += [comma.join([file, f"c{i}", f"t{i}", str(i)]) for file, i in rows(files)]
    return "\n".join(lines) + "\n"


def lines_of_json(files: list[str], r: Random) -> str:
    found = [{"file_name": file, "label": f"c{i}", "text": f"t{i}", "value": i} for file, i in rows(files)]
    return "\n".join(map(json.dumps, found)) + "\n"


def stylegan(files: list[str], r: Random) -> str:
    return json.dumps({"labels": [[file, i] for file, i in rows(files)]}, indent=0)


def celeba(files: list[str], r: Random) -> str:
    return "\n".join([str(len(files)), "value other", *(f"{file}  {i} -1" for file, i in rows(files))]) + "\n"


def partition(files: list[str], r: Random) -> str:
    return "\n".join(f"{file} {i % 3}" for file, i in rows(files)) + "\n"


TABLES: dict[str, Callable[[list[str], Random], str]] = {
    "metadata.csv": separated,
    "labels.csv": separated,
    "notes.tsv": separated,
    "metadata.jsonl": lines_of_json,
    "dataset.json": stylegan,
    "list_attr_celeba.txt": celeba,
    "list_eval_partition.txt": partition,
}


def spoil(data: bytes, r: Random) -> bytes:
    """Cut, repeat, overwrite or insert bytes; leave lines out, repeat them, shuffle them; another encoding."""
    for _ in range(r.choice([1, 1, 2, 4])):
        lines = data.splitlines(keepends=True) or [b""]
        a, b = sorted(r.randrange(len(data) + 1) for _ in range(2))
        i, j = r.randrange(len(lines)), r.randrange(len(lines))
        odd = [
            b"\0",
            b"\xff\xfe",
            b"\xc3",
            b'"',
            b"}",
            b",",
            b"\t",
            b"\n",
            b"[" * 5000,
            b"9" * 5000,
            b"-",
            b"../",
            b"/",
            b"\\",
        ]
        odd += [b'{"', b"null", b"NaN", b"1e999", b"true", "ü".encode("latin-1"), b"\r", b" ", b";", b"n11", b"a/"]
        near = min(b, a + r.choice([1, 4, 20]))
        data = r.choice(
            [
                data[:a],
                data[:a] + data[near:],
                data[:a] + r.choice(odd) + data[a:],
                data[:a] + r.choice(odd) + data[near:],
                data[:a] + bytes(x ^ (1 << r.randrange(8)) for x in data[a:near]) + data[near:],
                b"".join(lines[:i] + lines[i + 1 :]),
                b"".join([*lines[:i], lines[j], *lines[i:]]),
                b"".join([lines[0], *r.sample(lines[1:], len(lines) - 1)]),
                b"".join(lines).decode("latin-1").encode("utf-16"),
                b"\xef\xbb\xbf" + data,
            ]
        )
    return data


def build(top: Path, r: Random) -> bytes:
    """A set with one spoiled table; the table."""
    files = names(r)
    for file, i in rows(files):
        (top / file).parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (8, 8), i).save(top / file)
    name = r.choice(list(TABLES))
    table = spoil(TABLES[name](files, r).encode(), r)
    for file in r.sample(files, r.choice([0, 0, 1, 3])):
        (top / file).unlink()
    (top / name).write_bytes(table)
    return table


def archive(top: Path, r: Random) -> Path:
    """The folder as a .zip, spoiled now and then."""
    packed, below = io.BytesIO(), r.choice(["", "", "top/"])
    with zipfile.ZipFile(packed, "w", r.choice([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])) as out:
        for file in sorted(top.rglob("*.*")):
            out.write(file, below + file.relative_to(top).as_posix())
        if r.random() < 0.1:
            out.writestr(r.choice(["../out.png", "/tmp/out.png", "a\\..\\..\\out.csv"]), b"x")
    data = bytearray(packed.getvalue())
    if r.random() < 0.5:
        for _ in range(r.choice([1, 3])):
            data[r.randrange(len(data))] ^= 1 << r.randrange(8)
    target = top.with_suffix(".zip")
    target.write_bytes(data if r.random() < 0.8 else data[: r.randrange(len(data))])
    return target


def moved(data: Dataset, table: bytes) -> list[str]:
    """Words that stand on a picture though no line of the table has both."""
    encoding = "utf-16" if table.startswith(b"\xff\xfe") else "utf-8-sig"
    text = table.decode(encoding, errors="replace")
    lines = (
        re.split(r"[\n\r]", text)
        if not text.lstrip().startswith('{"labels')
        else re.split(r"\]", text.replace("\n", ""))
    )
    found = []
    for row, item in enumerate(data.items):
        own = f"n{int(item[0, 0, 0])}"
        said = [data.captions[row]] if data.captions else []
        said += [data.class_names[int(data.labels[row])]] if data.labels is not None else []
        for word in said:
            # folders are classes, of what is left of a spoiled archive too
            known = word in ("", "unlabelled", "(top)", "a", "b", "train", "val", "top") or any(
                own in line and word in line for line in lines
            )
            found += [] if known else [f"{own}: {word!r}"]
        for name, values in (data.attributes or {}).items():
            value = values[row].item()
            if (
                value == value
                and name == "value"
                and value > 1
                and not any(own in line and f"{value:g}" in line for line in lines)
            ):
                found.append(f"{own}: {name} {value:g}")
    return found


def run_case(case: int, place: Path) -> str:
    """What is wrong with a case; "" where nothing is."""
    r = Random(case)
    top = place / "set"
    top.mkdir(parents=True)
    table = build(top, r)
    packed = case % 3 == 0
    source = archive(top, r) if packed else top
    before = {path for path in place.rglob("*") if "cache" not in path.parts}
    try:
        data = open_data(str(source), hold_out=0.5)
    except RequestError:
        return ""
    except Exception as error:
        return f"case {case}: {type(error).__name__}: {error}"
    wrong = [problem for part in (data, data.held_out) if part is not None for problem in moved(part, table)]
    written = {path for path in place.rglob("*") if "cache" not in path.parts} - before
    return f"case {case}: {wrong} {written or ''}, table {table[:300]!r}" if wrong or written else ""


def run_cases(cases: range, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    found = []
    for case in cases:
        place = tmp_path / str(case)
        monkeypatch.setenv("GANVAS_CACHE", str(place / "cache"))
        found.append(run_case(case, place))
        shutil.rmtree(place)
    return [wrong for wrong in found if wrong]


def test_a_spoiled_table_moves_no_word(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run_cases(range(QUICK), tmp_path, monkeypatch) == []


@pytest.mark.slow
def test_no_spoiled_table_moves_a_word(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run_cases(range(QUICK, WHOLE), tmp_path, monkeypatch) == []
