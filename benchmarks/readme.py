"""Writes tables of timings from what the benchmarks measured: no number is typed.

    python benchmarks/readme.py

`results/NAME.json` fills what stands between `<!-- benchmark NAME -->` and `<!-- end NAME -->`: the
README's summary of the layers, and every row with its quartiles in `benchmarks/README.md`.
"""

import json
from pathlib import Path

import rounds

HERE = Path(__file__).parent
OTHERS = {
    "max_pool_with_argmax + scatter_nd": "TensorFlow's pair",
    "MaxPooling2D + UpSampling2D": "plain pair",
    "PyTorch's pair": "PyTorch's pair",
}


def summary(rows):
    """A line for each mode: the ratios of all sizes, in a column for each of the others."""
    yield f"| mode | size | {' | '.join(OTHERS.values())} |"
    yield f"|---|---|{'---|' * len(OTHERS)}"
    for mode in dict.fromkeys(row["row"] for row in rows):
        found = [row for row in rows if row["row"] == mode]
        sizes = ", ".join("x".join(map(str, row["size"])) for row in found)
        cells = [
            ", ".join(f"{row['ratios'][other][1]:.2f}" for row in found if other in row["ratios"])
            for other in OTHERS
        ]
        yield f"| {mode} | {sizes} | {' | '.join(cells)} |"


def every_row(rows):
    """What a row compares, in milliseconds, and the ratios with their quartiles."""
    yield "| what | size | | milliseconds | ratio (quartiles) |"
    yield "|---|---|---|---|---|"
    for row in rows:
        head = (row["row"], "x".join(map(str, row["size"])))
        for name, (_, milliseconds, _) in row["milliseconds"].items():
            low, middle, high = row["ratios"].get(name, (None, None, None))
            ratio = "" if middle is None else f"{middle:.2f} ({low:.2f} … {high:.2f})"
            yield f"| {' | '.join((*head, name, f'{milliseconds:.2f}', ratio))} |"
            head = ("", "")


def epochs(rows):
    """The score after each epoch, a training a line."""
    count = max(len(row["scores"]) for row in rows)
    yield f"| network | encoder | {' | '.join(f'epoch {i + 1}' for i in range(count))} |"
    yield f"|---|---|{'---|' * count}"
    for row in rows:
        scores = " | ".join(f"{score:.3f}" for score in row["scores"])
        yield f"| `{row['model']}` | {row['start']} | {scores} |"


TABLES = [
    (HERE.parent / "README.md", "layers", summary),
    *((HERE / "README.md", name, every_row) for name in ("layers", "predict", "metrics")),
    (HERE / "README.md", "pretrained_encoders", epochs),
]


def filled(file, name, table):
    text, start, end = file.read_text("utf-8"), f"<!-- benchmark {name} -->", f"<!-- end {name} -->"
    if text.count(start) != 1 or text.count(end) != 1:
        raise SystemExit(f"{file} needs one line {start!r} and one line {end!r} behind it.")
    head, rest = text.split(start)
    return f"{head}{start}\n\n{table}\n\n{end}{rest.split(end)[1]}"


def main():
    for file, name, lines in TABLES:
        results = rounds.RESULTS / f"{name}.json"
        if not results.exists():
            print(
                f"{results} is missing: run python benchmarks/{name}.py. Its table stays as it is."
            )
            continue
        content = json.loads(results.read_text("utf-8"))
        made_with = ", ".join(f"{name} {number}" for name, number in content["versions"].items())
        table = "\n".join(lines(content["rows"]))
        table = f"{table}\n\n{content['threads']} threads; {made_with}."
        file.write_text(filled(file, name, table), "utf-8")


if __name__ == "__main__":
    main()
