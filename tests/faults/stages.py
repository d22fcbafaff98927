"""Runs stages that are hit at a chosen moment: each is a process of its own, forked from one that has imported all.

Reads a case from each line of stdin, as JSON: `words` (the command line), `at` (a function, as `module:name`, before
which it is hit) or `after` (seconds), `number` (a signal; 0 is out of memory), `largest` (bytes that a file may have).
Answers in a line of stdout: `code`, as a shell sees it, `seconds` from the hit to the end, `said` on stderr.
"""

import importlib
import json
import os
import resource
import signal
import sys
import tempfile
import time
import traceback
from functools import reduce
from pathlib import Path

from deepmine import cli, figures  # noqa: F401
from deepmine.commands import evaluate, prepare, sweep, train  # noqa: F401
from deepmine.data.preparing import prepare as preparing  # noqa: F401
from deepmine.models import pipelines  # noqa: F401
from deepmine.runs import cross_validation, provenance, record  # noqa: F401


def hit_before(at: str, number: int) -> None:
    """Replace a function by one that hits its process first."""
    module, _, name = at.partition(":")
    *inside, last = name.split(".")
    holder = reduce(getattr, inside, importlib.import_module(module))
    whole = getattr(holder, last)

    def hit(*arguments: object, **settings: object) -> object:
        os.utime(hits)
        if number == 0:
            raise MemoryError("Unable to allocate 3 TiB")
        os.kill(os.getpid(), number)
        return whole(*arguments, **settings)

    setattr(holder, last, hit)


def run(case: dict) -> None:
    """Be the stage; never returns."""
    os.setsid()
    os.dup2(said, 2)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if "largest" in case:
        resource.setrlimit(resource.RLIMIT_FSIZE, (case["largest"], case["largest"]))
    if "at" in case:
        hit_before(case["at"], case["number"])
    sys.argv = ["deepmine", *case["words"]]
    code: object = 0
    try:
        cli.main()
    except SystemExit as end:
        code = end.code
    except BaseException:
        traceback.print_exc()
        code = 1
    if isinstance(code, str):
        print(code, file=sys.stderr)
    sys.stderr.flush()
    os._exit(code if isinstance(code, int) else 1)


for line in sys.stdin:
    case = json.loads(line)
    with tempfile.NamedTemporaryFile() as errors, tempfile.NamedTemporaryFile() as moment:
        said, hits = errors.fileno(), moment.name
        begin = time.time()
        if (stage := os.fork()) == 0:
            run(case)
        if "after" in case:
            time.sleep(case["after"])
            begin = time.time()
            os.kill(stage, case["number"])
        ended = os.waitstatus_to_exitcode(os.waitpid(stage, 0)[1])
        begin = max(begin, os.stat(hits).st_mtime) if "at" in case else begin
        answer = {"code": 128 - ended if ended < 0 else ended, "seconds": time.time() - begin}
        print(json.dumps({**answer, "said": Path(errors.name).read_text()}), flush=True)
