"""`python -m stunet_perfusion.worker --session FOLDER [--replies FILE]`."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from stunet_perfusion.support.processors import default_threads, keep_linear_algebra_to_one_thread

#: What other libraries of linear algebra that numpy may come with take their number of threads from.
_THREAD_VARIABLES = ("MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS", "OMP_NUM_THREADS")


def main(arguments: list[str] | None = None) -> int:
    """Serve requests until the standard input ends or `shutdown` comes."""
    parser = argparse.ArgumentParser(prog="python -m stunet_perfusion.worker", description=__doc__)
    parser.add_argument("--session", type=Path, required=True, help="folder for arrays; it has to exist")
    parser.add_argument("--replies", type=Path, help="file for the replies, instead of the standard output")
    options = parser.parse_args(arguments)
    if not options.session.is_dir():
        parser.error(f"{options.session}: does not exist or is no folder; make it first")
    keep_linear_algebra_to_one_thread()
    for variable in _THREAD_VARIABLES:
        os.environ.setdefault(variable, str(default_threads()))
    # numpy reads these variables when it is loaded, so what needs it is imported now.
    from stunet_perfusion.worker.channel import guard_standard_streams
    from stunet_perfusion.worker.main_loop import serve

    requests, output = guard_standard_streams()
    replies = output if options.replies is None else options.replies.open("wb")
    return serve(requests, replies, options.session.resolve())


if __name__ == "__main__":
    # At once: neither the thread that waits for requests nor torch has anything left to tidy up.
    os._exit(main())
