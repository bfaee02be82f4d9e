"""`kerasseg check DIR`: the label doctor."""


def check(parser):
    """Says in words what is wrong with a folder of images and masks.

    Reads every file once, changes none, and prints the splits, the mean and the standard
    deviation of the images, how often each class occurs, and what is wrong, with its remedy.

    example:
      kerasseg check data/camvid

    exit code:
      0  nothing is wrong
      1  warnings: something may spoil a training
      2  errors: something will, or the folder cannot be read
    """
    parser.add_argument(
        "folder", help="images/ and masks/, or train/images/ and train/masks/, or as CamVid lies"
    )

    def run(options):
        from kerasseg.datasets.doctor import check_dataset

        report = check_dataset(options.folder)
        print(report)
        return report.exit_code

    return run
