"""How much memory there is, so that a command can say in advance what does not fit."""

import contextlib
from pathlib import Path

MEMINFO = Path("/proc/meminfo")
STATUS = Path("/proc/self/status")
GROUP = Path("/sys/fs/cgroup")
CONTROL_GROUPS = (  # of containers: the limit, what is used of it, and of what
    ("memory.max", "memory.current", "memory.stat"),
    ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes", "memory/memory.stat"),
)


def available_memory():
    """The bytes that this process may still take, the least of what all limits leave.

    Returns:
        An integer; `None` where the operating system does not tell.
    """
    left = []
    with contextlib.suppress(OSError, KeyError, ValueError):
        left.append(entry(MEMINFO, "MemAvailable"))
    for names in CONTROL_GROUPS:
        limit, used, parts = (GROUP / name for name in names)
        with contextlib.suppress(OSError, KeyError, ValueError):  # "max" is no number
            # Files that were read before count as used, and make way.
            cached = dict(line.split() for line in parts.read_text().splitlines())["inactive_file"]
            left.append(int(limit.read_text()) - int(used.read_text()) + int(cached))
    with contextlib.suppress(ImportError, OSError, KeyError, ValueError):
        import resource

        limit, _ = resource.getrlimit(resource.RLIMIT_AS)
        if limit != resource.RLIM_INFINITY:
            left.append(limit - entry(STATUS, "VmSize"))
    return max(0, min(left)) if left else None


def entry(path, name):
    """The bytes behind a name in one of Linux's lists of `name: number kB`."""
    lines = dict(line.split(":", 1) for line in path.read_text().splitlines() if ":" in line)
    return 1024 * int(lines[name].split()[0])


def gigabytes(count):
    """A number of bytes in words.

    Example:

    >>> gigabytes(2_700_000_000), gigabytes(340_000_000)
    ('2.7 GB', '0.34 GB')
    """
    return f"{count / 1e9:.2g} GB" if count < 10**10 else f"{count // 10**9:,} GB"


def check_memory(needed, what, remedy):
    """Raises `ValueError` if there is not as much memory as something takes.

    Args:
        needed: Bytes.
        what: What takes them, the beginning of the sentence.
        remedy: The sentence behind it.
    """
    free = available_memory()
    if free is not None and needed > free:
        raise ValueError(
            f"{what} needs {gigabytes(needed)} of memory, and {gigabytes(free)} are free. {remedy}"
        )


def check_batch_memory(batch_size, image_size):
    """Raises `ValueError` if not even a batch of images, float32, fits into the memory."""
    height, width = image_size
    what = f"A batch of {batch_size} images of {height}x{width} pixels"
    remedy = "Take a smaller --image-size or --batch-size."
    check_memory(12 * batch_size * height * width, what, remedy)
