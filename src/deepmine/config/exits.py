"""How a verb ends: a person's mistake, a full disk or Ctrl-C in one message and an exit code, a bug in a traceback."""

import errno
import os
import re
import signal
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

import yaml
from hydra.errors import HydraException, MissingConfigException
from omegaconf.errors import OmegaConfBaseException

from deepmine.config import signals
from deepmine.config.errors import UserError, nearest, shown

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
FORBIDDEN = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EISDIR)
ELSEWHERE = "paths.out=/another/folder"


@contextmanager
def of_program() -> Iterator[None]:
    """Exit with one message after a mistake, with the usual code after a signal, silently where a pipe is closed."""
    try:
        with explained():
            yield
        sys.stdout.flush()
    except UserError as error:
        sys.exit(f"error: {shown(str(error))}")
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for what Python still holds
        sys.exit(128 + signal.SIGPIPE)


@contextmanager
def of_trial(number: int, overrides: list[str]) -> Iterator[None]:
    """Print at once why a trial failed, then tell Hydra, which goes on with the others and ends with an error."""
    before, sys.argv = sys.argv, [sys.argv[0], "train", *overrides]  # its record quotes it, its processes repeat it
    try:
        with explained():
            yield
    except Exception as error:
        if not isinstance(error, UserError):
            traceback.print_exc()
        text = shown(f"Trial {number} ({' '.join(overrides)}) failed: {error}")
        print(text, file=sys.stderr)
        raise UserError(text) from None  # Hydra hands it to another process, which not every error survives
    finally:
        sys.argv = before


@contextmanager
def composing() -> Iterator[None]:
    """Turn the errors of Hydra, OmegaConf and YAML into one sentence that names the nearest valid thing."""
    try:
        yield
    except MissingConfigException as error:
        group, _, name = str(error.missing_cfg_file).rpartition("/")
        raise UserError(f"There is no conf/{group}/{name}.yaml. {nearest(name, error.options or [])}") from None
    except RecursionError:
        raise UserError("A setting or a file in conf/ is nested too deeply, or contains itself.") from None
    except (HydraException, OmegaConfBaseException, yaml.YAMLError, ValueError) as error:
        text = " ".join(f"{error} {error.__cause__ or ''}".partition("See https:")[0].split())
        several = r"`\1` holds several values. To train with each: make sweep \1"
        text = re.sub(r".*?'\+*(.*?)'.*--multirun.*", several, text)
        raise UserError(f"The config cannot be composed: {text:.300}") from None


@contextmanager
def explained() -> Iterator[None]:
    """Turn the errors of signals, and of a disk or a memory that is full, into an exit or a message: they are not bugs."""
    try:
        yield
    except (Exception, KeyboardInterrupt) as error:
        if number := signals.ended_by(error):
            sys.exit(128 + number)
        if isinstance(error, MemoryError):
            says = f"The memory is full ({error}). Use fewer rows, smaller batches or a smaller model."
            raise UserError(says) from error
        if not isinstance(error, OSError):
            raise
        if error.errno in FULL or str(error).endswith(" written"):  # NumPy counts bytes and says no more
            raise UserError(f"The disk is full ({error}). Free some room, or write elsewhere: {ELSEWHERE}") from error
        made = traceback.extract_tb(error.__traceback__)[-1].name in ("mkdir", "touch")  # in a folder such as /proc
        if error.filename and (error.errno in FORBIDDEN or (error.errno == errno.ENOENT and made)):
            reason = f"{error.filename} cannot be used: {error.strerror}. Check its type, owner and permissions"
            raise UserError(f"{reason} (ls -ld), or write elsewhere: {ELSEWHERE}") from error
        raise


@contextmanager
def refusals() -> Iterator[None]:
    """Turn what scikit-learn raises for settings or data that a model cannot use into a message."""
    try:
        yield
    except (ValueError, TypeError, OverflowError) as error:
        raise UserError(f"The model refuses its settings or the data: {error}") from error
