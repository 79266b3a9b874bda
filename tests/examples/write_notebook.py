"""Write and execute `examples/ratings-and-dataset.ipynb`: `python tests/examples/write_notebook.py`."""

from __future__ import annotations

from pathlib import Path

import nbformat
from nbclient import NotebookClient

EXAMPLES = Path(__file__).parents[2] / "examples"
NOTEBOOK = EXAMPLES / "ratings-and-dataset.ipynb"

TEXT, CODE = nbformat.v4.new_markdown_cell, nbformat.v4.new_code_cell

CELLS = [
    TEXT("""# From ratings to scores, and from a corpus to a dataset

This notebook reads the ratings of [`examples/real`](real/README.md), scores them, compares two methods, measures the
agreement of the raters and plans the next study. Then it builds the whole corpus as a dataset and shows one pair. Run
it from the folder `examples`; it writes to a temporary folder only."""),
    CODE("import mos"),
    TEXT("""`mos.read` takes a CSV or Parquet table, a Label Studio export, or a DataFrame. Name the scale of the study;
without it the extremes of the data are taken."""),
    CODE("""ratings = mos.read("real/annotations/ratings.json", scale=(1, 5))
ratings"""),
    TEXT("`mos.score` gives a score with an interval for each item and dimension."),
    CODE("""result = mos.score(ratings, "mos")
result"""),
    TEXT("Each table of the result becomes a DataFrame with `to_pandas`."),
    CODE("""result.raters.to_pandas()[["rater", "n", "excluded"]]"""),
    CODE("""result.plot("intervals", dimension="perceptual_quality")"""),
    TEXT("How different are the ranks and scores of two methods on the same ratings?"),
    CODE("""comparison = mos.compare(ratings, ["mos", "p913"])
comparison"""),
    TEXT("How well do the raters agree?"),
    CODE("""agreement = mos.agreement(ratings)
agreement.to_pandas().query("coefficient == 'ICC(A,1)'")[["dimension", "value", "ci_low", "ci_high"]]"""),
    TEXT("How many raters does the next study need, with these ratings as its pilot study?"),
    CODE("print(mos.plan(ratings, half_width=0.2, reliability=0.95))"),
    TEXT("""`editfhf.build` turns the whole corpus (images, instructions, marks, texts and ratings) into a dataset, and
`editfhf.load` opens it with `datasets`."""),
    CODE("""import tempfile

import datasets

import editfhf

datasets.disable_progress_bars()
with tempfile.TemporaryDirectory() as folder:
    editfhf.build("real", f"{folder}/dataset")
    dataset = editfhf.load(f"{folder}/dataset")
    pair = dataset["train"][0]
{split: len(rows) for split, rows in dataset.items()}"""),
    TEXT("""`editfhf.show` draws a pair: source, edited image, and the saliency maps of artifacts and of failures."""),
    CODE("editfhf.show(pair, height=120)"),
]


def build_notebook() -> nbformat.NotebookNode:
    """The notebook without outputs."""
    notebook = nbformat.v4.new_notebook(
        metadata={"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    )
    for number, cell in enumerate(CELLS):
        notebook.cells.append(nbformat.NotebookNode(cell | {"id": f"cell-{number:02d}"}))
    return notebook


def execute_notebook(notebook: nbformat.NotebookNode, folder: Path) -> None:
    """Run every cell in `folder` and store the results, without warnings; an error in a cell is raised."""
    resources = {"metadata": {"path": str(folder)}}
    NotebookClient(notebook, timeout=120, kernel_name="python3", resources=resources).execute()
    for cell in notebook.cells:
        cell.get("metadata", {}).pop("execution", None)
        if "outputs" in cell:
            cell.outputs = [output for output in cell.outputs if output.get("name") != "stderr"]


if __name__ == "__main__":
    made = build_notebook()
    execute_notebook(made, EXAMPLES)
    made.metadata.pop("language_info", None)
    nbformat.write(made, NOTEBOOK)
