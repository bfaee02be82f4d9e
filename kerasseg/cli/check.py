"""`kerasseg check DIR`: the label doctor."""

from kerasseg.datasets.doctor import check_dataset


def run(options):
    report = check_dataset(options.folder)
    print(report)
    return report.exit_code
