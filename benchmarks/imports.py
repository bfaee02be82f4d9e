"""What `import kerasseg` costs beyond `import keras`, each time in a fresh process."""

import statistics
import subprocess
import sys

SCRIPT = (
    "import keras, time; start = time.perf_counter();"
    "import kerasseg; print(time.perf_counter() - start)"
)
LIMIT = 0.1

seconds = [float(subprocess.check_output([sys.executable, "-c", SCRIPT])) for _ in range(5)]
print(f"import kerasseg: {statistics.median(seconds):.4f} s beyond import keras, limit {LIMIT} s")
print("all runs:", ", ".join(f"{value:.4f}" for value in seconds))
