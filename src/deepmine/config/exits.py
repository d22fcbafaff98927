"""How a stage ends: a person's mistake, a full disk or Ctrl-C in one message and an exit code; a bug in a traceback."""

import errno
import os
import signal
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import yaml
from hydra.errors import HydraException, MissingConfigException
from omegaconf.errors import OmegaConfBaseException

from deepmine.config.errors import UserError, nearest

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
FORBIDDEN = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EISDIR)
ELSEWHERE = "paths.out=/another/folder"


@contextmanager
def of_trial(hydra_: Any, verb: str) -> Iterator[None]:
    """Say at once why a trial ended, then hand it to Hydra, which goes on with the others and ends with an error.

    The command line is that of the trial meanwhile: the provenance quotes it, and a process started for it repeats it.
    """
    before, overrides = sys.argv, [override.lstrip("+") for override in hydra_.overrides.task]
    sys.argv = [before[0], verb, *overrides]
    try:
        with explained():
            yield
    except Exception as error:
        if not isinstance(error, UserError):
            traceback.print_exc()
        text = f"Trial {hydra_.job.num} ({' '.join(overrides)}) failed: {error}"
        print(text, file=sys.stderr)
        raise UserError(text) from None  # Hydra hands it to another process, which not every error survives
    finally:
        sys.argv = before


@contextmanager
def of_program() -> Iterator[None]:
    """End the program with one message after a person's mistake, and with the usual code after Ctrl-C; without a word
    where nobody reads on, as in `make train | head -3`.
    """
    try:
        with explained():
            yield
        sys.stdout.flush()
    except UserError as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for what Python still holds
        sys.exit(128 + signal.SIGPIPE)


@contextmanager
def explained() -> Iterator[None]:
    """Turn Hydra's, OmegaConf's and YAML's errors into `UserError`s that name the nearest valid thing; also those of
    a disk that is full or closed, which are no bugs.
    """
    try:
        yield
    except MissingConfigException as error:
        if error.options is None or error.missing_cfg_file is None:
            raise UserError(str(error)) from None
        group, _, name = error.missing_cfg_file.rpartition("/")
        raise UserError(f"There is no conf/{group}/{name}.yaml. {nearest(name, error.options)}") from None
    except (HydraException, OmegaConfBaseException) as error:
        cause = f" {error.__cause__}" if error.__cause__ else ""
        raise UserError(f"The config cannot be composed: {error}{cause}") from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f"{mark.name}, line {mark.line + 1}" if mark else "a file in conf/"
        raise UserError(f"{place} is not valid YAML: {error.problem}.") from None
    except OSError as error:
        if error.errno in FULL or str(error).endswith(" written"):  # NumPy counts bytes and says no more
            raise UserError(f"The disk is full ({error}). Free some room, or write to another: {ELSEWHERE}") from error
        if error.errno in FORBIDDEN and error.filename:
            raise UserError(
                f"{error.filename} cannot be used: {error.strerror}. Look at what it is and whose (ls -ld), "
                f"or write to another folder: {ELSEWHERE}"
            ) from error
        raise
