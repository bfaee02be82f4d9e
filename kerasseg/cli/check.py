"""`kerasseg check DIR`: the label doctor."""

from pathlib import Path

from kerasseg.cli.paths import check_outside
from kerasseg.datasets.doctor import check_dataset
from kerasseg.datasets.recommend import command, recommend
from kerasseg_command.terminal import show


def run(options):
    if options.model is not None:
        check_outside(options.output, options.folder)
    report = check_dataset(options.folder)
    print(report)
    if options.model is not None:
        from kerasseg.cli.label_errors import look_for_label_errors

        show()
        look_for_label_errors(options, Path(options.output))
    elif not report.errors:
        show(f"\nRecommended on this machine: {command(options.folder, recommend(options.folder))}")
    return report.exit_code
