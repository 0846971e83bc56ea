"""The command line: everything the dashboard does. The engine is started as a process, never imported."""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence

from cyclopts import CycloptsError

from core.commands import (
    backbones,
    catalog,
    dashboard,
    dataset,
    exchange,
    imports,
    models,
    runs,
    searches,
    slots,
    storage,
)
from core.commands.program import DONE, FAULT, INTERRUPTED, WRONG_INPUT, app, print_document, screen
from core.errors import UserError, UserErrors
from core.files import check_failpoint
from core.processes.workers import SupervisorError
from core.storage.disk import disk_error
from core.text import streams

# Each adds its own to the program.
COMMANDS = (backbones, catalog, dashboard, dataset, exchange, imports, models, runs, searches, slots, storage)


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs a command (default: the dashboard) and exits: 0 done, 1 a fault of the program, 130 interrupted, 2 something
    the person can correct: their input, or a disk that is full, read-only or faulty."""
    streams.prepare()
    words = list(sys.argv[1:] if arguments is None else arguments)
    code = _answer(words)
    wrong = streams.finish()
    if wrong:
        screen.print(f"The output could not be written: {wrong}", style="bold red", soft_wrap=True)
        streams.finish()
        code = code or FAULT
    sys.exit(code)


def _answer(words: Sequence[str]) -> int:
    """Runs a command and returns its exit code; input errors and disk errors give no traceback."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell sets it to be ignored for background processes
    try:
        check_failpoint()
        _refuse_blanks(words)
        return app(_with_stdin(words), exit_on_error=False, print_error=False) or DONE
    except (UserError, UserErrors) as error:
        return _refuse(error.errors if isinstance(error, UserErrors) else (error,), "--json" in words)
    except CycloptsError as error:
        refusal = UserError(
            "bad_usage", "command", " ".join(words), "a command as `condenser --help` shows it", str(error)
        )
        return _refuse((refusal,), "--json" in words)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # the reader of our output has closed it
        return DONE
    except SupervisorError as error:
        screen.print(str(error), style="bold red", soft_wrap=True)
        return FAULT
    except OSError as error:  # a disk or a stream that cannot be written to
        found = disk_error(error) if error.filename else None  # none: our own output
        if found is not None:
            return _refuse((found,), "--json" in words)
        where = f": {error.filename}" if error.filename else ""
        screen.print(f"{error.strerror or error}{where}", style="bold red", soft_wrap=True)
        return FAULT


def _with_stdin(words: Sequence[str]) -> list[str]:
    """Replaces a lone `-` for the recipe by the path `./-`, which the parser does not take for an option."""
    takes = bool(words) and words[0] in ("run", "submit", "check", "search", "sweep")
    before = ["", *words]
    return [
        "./-" if takes and word == "-" and last not in ("--set", "--vary", "--workspace") else word
        for last, word in zip(before, words, strict=False)
    ]


def _refuse_blanks(words: Sequence[str]) -> None:
    """Refuses an empty text for a folder, as from an unset variable: it would mean the current folder."""
    for word, after in zip(words, [*words[1:], None], strict=True):
        option, equals, value = word.partition("=")
        if option in ("--workspace", "--out") and not (value if equals else "-" if after is None else after).strip():
            fix = f"Name a folder, or leave {option} out." if option == "--workspace" else "Name a folder."
            raise UserError("blank_path", option, "", "the path of a folder", fix)


def _refuse(errors: Sequence[UserError], as_json: bool) -> int:
    for error in errors:
        if not error.allowed:  # it tells what happened
            screen.print(f"{error.given}", style="bold red", soft_wrap=True)
            screen.print(f"  {error.fix}", soft_wrap=True)
            continue
        screen.print(f"{error.field}: got {error.given}", style="bold red", soft_wrap=True)
        screen.print(f"  allowed: {error.allowed}\n  {error.fix}", soft_wrap=True)
    if as_json:
        print_document({"ok": False, "errors": [_error(error) for error in errors]})
    return WRONG_INPUT


def _error(error: UserError) -> dict[str, object]:
    """An error as JSON, with its choices if it has any."""
    choices = [choice.to_json() for choice in error.choices]
    return {**error.to_json(), **({"choices": choices} if choices else {})}


if __name__ == "__main__":
    main()
