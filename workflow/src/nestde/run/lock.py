"""No two runs in one folder: our own lock and Snakemake's, and what a killed run may have left at work."""

import contextlib
import errno
import fcntl
import os
import shutil
import socket
import subprocess
import sys
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path

from nestde.errors import NestdeError, a_few

LOCK = Path(".snakemake/nestde.lock")
LOCKS = Path(".snakemake/locks")


def snakemake(arguments: Sequence[str]) -> int:
    """Run Snakemake as a process of its own; return its exit code."""
    sys.stdout.flush()
    return subprocess.run([sys.executable, "-m", "snakemake", *arguments], check=False).returncode


def take_folder(study: Sequence[str], args: Namespace) -> bool:
    """Make sure that no other run is at work here, or will be; return whether the last one was killed."""
    if args.executor == "slurm" and not shutil.which("sbatch"):
        raise NestdeError(
            "--profile: asks for Slurm, and there is no sbatch on this machine. Run it on a login node of the cluster, or "
            "without --profile."
        )
    locks = _take_lock()
    killed = any(LOCKS.glob("*"))
    if killed:
        _unlock(study, locks)
    return killed


def _take_lock() -> bool:
    """Hold a lock on the working directory for as long as this process lives; return whether the file system has locks."""
    LOCK.parent.mkdir(exist_ok=True)
    handle = os.open(LOCK, os.O_CREAT | os.O_RDWR, 0o644)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise NestdeError(
            f"{Path.cwd()}: another `nestde run` is at work in this folder. Wait for it, or stop it."
        ) from error
    except OSError as error:
        if error.errno not in (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP):
            raise
        return False  # some cluster file systems have none; Snakemake's own lock is left
    if not any(LOCKS.glob("*")):
        os.truncate(handle, 0)
        os.write(handle, socket.gethostname().encode())
    return True


def _unlock(study: Sequence[str], locks: bool) -> None:
    """Remove the lock of Snakemake that a killed run has left; refuse where that run, or a job of it, may be at work."""
    host = LOCK.read_text()
    at_work = _snakemakes_here()
    if not locks or host != socket.gethostname() or at_work:
        where = f"as process {a_few(at_work)}" if at_work else f"on {host or 'an unknown machine'}"
        raise NestdeError(
            f"{Path.cwd()}: is locked by Snakemake, {where}. Wait for it, or stop it; if it is gone, free the folder "
            "with `nestde run --unlock`."
        )
    queued = _jobs_in_queue()
    if queued:
        raise NestdeError(
            f"{Path.cwd()}: the last run was killed, but its jobs are in Slurm's queue still: {a_few(queued)}. Wait for "
            f"them, or `scancel {' '.join(queued)}`; then run again."
        )
    if snakemake([*study, "--cores", "1", "--unlock"]) != 0:
        raise NestdeError(
            f"{Path.cwd()}: is locked by a run that was killed, and Snakemake cannot unlock it."
        )


def _snakemakes_here() -> list[str]:
    """Numbers of the processes, of this machine and open to our eyes, that are a Snakemake in our working directory."""
    import psutil

    here = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            is_snakemake = any(Path(word).name == "snakemake" for word in process.cmdline()[:4])
            if is_snakemake and Path(process.cwd()) == Path.cwd():
                here.append(str(process.pid))
    return here


def _jobs_in_queue() -> list[str]:
    """Slurm's numbers of the jobs that a run in this folder has submitted and that have not ended."""
    if not shutil.which("squeue"):
        return []
    told = subprocess.run(
        ["squeue", "--me", "--noheader", "--format=%F|%k|%Z"], capture_output=True, text=True, check=False
    )
    jobs = [line.strip().split("|", 2) for line in told.stdout.splitlines() if line.count("|") > 1]
    # the plugin notes the rule as the comment
    here = {
        int(job) for job, comment, folder in jobs if comment.startswith("rule_") and folder == str(Path.cwd())
    }
    return [str(job) for job in sorted(here)]
