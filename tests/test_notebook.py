"""The notebook runs from its first cell to its last, and every result shows itself."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOK = Path(__file__).parents[1] / "examples" / "tour.ipynb"
SHOWN = {"image/png", "text/html"}  # of which every result has one


@pytest.fixture
def notebook() -> nbformat.NotebookNode:
    return nbformat.read(NOTEBOOK, 4)


def code(notebook: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def results_show_themselves(notebook: nbformat.NotebookNode) -> None:
    for cell in code(notebook):
        results = [output for output in cell.outputs if output.output_type == "execute_result"]
        assert len(results) == 1 and SHOWN & results[0].data.keys(), cell.source
        assert len(results[0].data["text/plain"]) < 10_000, cell.source


def test_it_is_kept_with_small_outputs(notebook: nbformat.NotebookNode) -> None:
    assert len(notebook.cells) == 15 and len(code(notebook)) == 8
    assert NOTEBOOK.stat().st_size < 1_000_000
    results_show_themselves(notebook)


def test_it_runs(notebook: nbformat.NotebookNode, tmp_path: Path) -> None:
    (train,) = (cell for cell in code(notebook) if "steps=1500" in cell.source)
    train.source = train.source.replace("steps=1500", "steps=20")  # a moment is enough to see that it works
    NotebookClient(notebook, timeout=240, kernel_name="python3", resources={"metadata": {"path": tmp_path}}).execute()
    results_show_themselves(notebook)
    shown = [output for cell in code(notebook) for output in cell.outputs if output.output_type == "display_data"]
    assert all(output.data.get("text/html") == "" for output in shown)  # bars that have vanished
    assert not [output for cell in code(notebook) for output in cell.outputs if output.get("name") == "stderr"]
