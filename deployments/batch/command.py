"""The command line of `backdrop batch`, and the run that it asks for."""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from deployments.batch.checks import checked
from deployments.batch.entries import FIELDS, PICTURES, Entry, in_folder, in_table
from deployments.batch.errors import CannotGoOn, WrongArguments
from deployments.batch.journal import Journal
from deployments.batch.pace import Pace
from deployments.batch.progress import Progress
from deployments.batch.work import Batch, is_done
from deployments.client import LOCAL, AsyncBackdrop, BackdropError, NotFound

DONE, FAILED, WRONG, INTERRUPTED = 0, 1, 2, 130
"""Exit codes; 128 and the number of SIGINT is the shells' own for the last."""

START_PATIENCE_S = 20.0
"""For a service that is down when the batch begins: its address may be wrong."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments.

    Args:
        parser: The command's own.
    """
    parser.add_argument(
        "photos", type=Path, help="a folder, or a CSV file with a column image and others"
    )
    parser.add_argument(
        "--out", type=Path, default=Path("backdrop-images"), help="for images and manifest"
    )
    parser.add_argument(
        "--url",
        default=os.environ.get("BACKDROP_URL", LOCAL),
        help=f"of the service (BACKDROP_URL, or {LOCAL}); its key is BACKDROP_API_KEY",
    )
    parser.add_argument("--name", help="another name makes everything anew (that of the photos)")
    parser.add_argument(
        "--parallel", type=_positive, default=16, metavar="N", help="jobs at a time (16)"
    )
    parser.add_argument(
        "--patience",
        type=_positive,
        default=600,
        metavar="SECONDS",
        help="for a service that is down meanwhile (600)",
    )
    fields = parser.add_argument_group("fields of every photo that its row says nothing of")
    for name in (*FIELDS, *PICTURES):
        fields.add_argument(f"--{name.replace('_', '-')}", metavar="VALUE")


def run(options: argparse.Namespace) -> int:
    """Do what the command line asks for, and tell how it went.

    Args:
        options: What `add_options` declared.

    Returns:
        The exit code: 0 when all is done, 1 when some failed or it could not go on, 2 when the
        arguments are wrong, 130 when it was interrupted.
    """
    try:
        return asyncio.run(_run(options))
    except WrongArguments as error:
        print(f"backdrop: {error}", file=sys.stderr)
        return WRONG
    except NotFound:
        print(f"backdrop: --url: there is no API of Backdrop at {options.url}", file=sys.stderr)
        return WRONG
    except (CannotGoOn, BackdropError) as error:
        print(f"backdrop: {error}", file=sys.stderr)
        return FAILED
    except (asyncio.CancelledError, KeyboardInterrupt):
        print(
            "backdrop: stopped; what is under way goes on in the service, and the same command "
            "takes it up",
            file=sys.stderr,
        )
        return INTERRUPTED


async def _run(options: argparse.Namespace) -> int:
    task = asyncio.current_task()
    assert task is not None  # noqa: S101 - it is this one
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    try:
        client = AsyncBackdrop(
            options.url, api_key=os.environ.get("BACKDROP_API_KEY") or None, retries=0
        )
    except ValueError as error:
        told = str(error).replace("base_url", "--url").replace("api_key", "BACKDROP_API_KEY")
        raise WrongArguments(told) from error
    entries = await asyncio.to_thread(_entries, options)
    try:
        journal = Journal(options.out)
    except OSError as error:
        raise WrongArguments(f"--out {options.out}: {error.strerror}") from error
    with journal:
        async with client:
            return await _work(options, client, entries, journal)


async def _work(
    options: argparse.Namespace, client: AsyncBackdrop, entries: Sequence[Entry], journal: Journal
) -> int:
    distinct = {entry.id: entry for entry in entries}.values()
    done = sum(is_done(journal.of(entry), options.out) for entry in distinct)
    progress = Progress(len(distinct), done)
    progress.say(
        f"{_photos(len(distinct))}, {done} of them done before; results go to {options.out}"
    )
    if done < len(distinct):
        start = Pace(client, progress, min(START_PATIENCE_S, options.patience))
        entries = checked(entries, await start.call(client.catalog))
    pace = Pace(client, progress, options.patience)
    batch = Batch(entries, options.out, journal, pace, client, progress)
    try:
        await batch.run(options.parallel)
    finally:
        progress.close()
    if progress.failed:
        progress.say(
            f"{progress.done} done, {progress.failed} failed: {options.out / 'manifest.csv'} says "
            "why, and the same command tries them again"
        )
        return FAILED
    progress.say(f"all {_photos(progress.done)} done; {options.out / 'manifest.csv'} tells of each")
    return DONE


def _entries(options: argparse.Namespace) -> list[Entry]:
    """What is asked for, with the digests of all files."""
    photos: Path = options.photos
    fields = {
        name: str(getattr(options, name)) for name in (*FIELDS, *PICTURES) if _given(options, name)
    }
    if photos.is_dir():
        if photos.resolve() == options.out.resolve():
            raise WrongArguments("--out: it must be another folder than that of the photos")
        entries = in_folder(photos, fields, options.out)
    elif photos.exists():
        entries = in_table(photos, fields)
    else:
        raise WrongArguments(f"{photos}: there is no such folder or file")
    name = options.name or photos.resolve().name
    return [entry.read(name) for entry in entries]


def _given(options: argparse.Namespace, name: str) -> bool:
    return getattr(options, name) is not None


def _photos(count: int) -> str:
    return "1 photo" if count == 1 else f"{count} photos"


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError("it must be a whole number from 1 on")
    return int(text)
