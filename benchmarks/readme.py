"""Writes the README's tables of timings from what the benchmarks measured: no number is typed.

    python benchmarks/readme.py

`results/NAME.json` fills what stands between `<!-- benchmark NAME -->` and `<!-- end NAME -->`.
"""

import json
from pathlib import Path

import rounds

README = Path(__file__).parents[1] / "README.md"


def layers_table(rows):
    """Ours in milliseconds, and over each of the others."""
    yield "| mode | size | ours | over | ratio (quartiles) |"
    yield "|---|---|---|---|---|"
    for row in rows:
        size = "x".join(map(str, row["size"]))
        for i, (other, (low, middle, high)) in enumerate(row["ratios"].items()):
            head = (row["row"], size, f"{row['milliseconds']['ours'][1]:.1f} ms")
            cells = (*(head if i == 0 else ("", "", "")), other)
            yield f"| {' | '.join(cells)} | {middle:.2f} ({low:.2f} … {high:.2f}) |"


TABLES = {"layers": layers_table}


def filled(text, name, table):
    start, end = f"<!-- benchmark {name} -->", f"<!-- end {name} -->"
    if text.count(start) != 1 or text.count(end) != 1:
        raise SystemExit(f"README.md needs one line {start!r} and one line {end!r} behind it.")
    head, rest = text.split(start)
    return f"{head}{start}\n\n{table}\n\n{end}{rest.split(end)[1]}"


def main():
    text = README.read_text("utf-8")
    for name, lines in TABLES.items():
        file = rounds.RESULTS / f"{name}.json"
        if not file.exists():
            print(f"{file} is missing: run python benchmarks/{name}.py. Its table stays as it is.")
            continue
        content = json.loads(file.read_text("utf-8"))
        made_with = ", ".join(f"{name} {number}" for name, number in content["versions"].items())
        table = "\n".join(lines(content["rows"]))
        text = filled(text, name, f"{table}\n\n{content['threads']} threads; {made_with}.")
    README.write_text(text, "utf-8")


if __name__ == "__main__":
    main()
