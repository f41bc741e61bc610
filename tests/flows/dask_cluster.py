"""`dask scheduler` and `dask worker` as a person starts them, and a second network host made of namespaces of the kernel."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from auto_interventions.errors import BadInput
from auto_interventions.flows.runners import open_crew


class Cluster:
    """One scheduler and its workers; whoever is still there at the end is killed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._running: list[subprocess.Popen[bytes]] = []
        self.address = ""

    def scheduler(self, host: str = "127.0.0.1", port: int = 0) -> None:
        """Returns when it answers; its address is `address`."""
        file = self._folder / "scheduler.json"
        file.unlink(missing_ok=True)
        self._start(["scheduler", "--host", host, "--port", str(port), "--no-dashboard", "--scheduler-file", str(file)])
        while not file.exists() or not file.read_text().strip().endswith("}"):
            time.sleep(0.1)
        self.address = json.loads(file.read_text())["address"]

    def worker(self, *options: str, before: Sequence[str] = (), **environment: str) -> subprocess.Popen[bytes]:
        """`before`: words before the command."""
        return self._start(["worker", self.address, "--nthreads", "1", "--no-dashboard", *options], before, environment)

    def _start(
        self, words: Sequence[str], before: Sequence[str] = (), environment: dict[str, str] | None = None
    ) -> subprocess.Popen[bytes]:
        with (self._folder / "log").open("ab") as log:
            command = [*before, sys.executable, "-m", "dask", *words]
            running = subprocess.Popen(
                command,
                cwd=self._folder,  # `python -m` looks for packages there first
                env={**os.environ, **(environment or {})},
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        self._running.append(running)
        return running

    def kill(self, running: subprocess.Popen[bytes] | None = None) -> None:
        """SIGKILL of one process, or of the scheduler."""
        (running or self._running[0]).kill()
        (running or self._running[0]).wait()

    def wait_for_workers(self) -> None:
        """Returns when one is there."""
        while not self._somebody():
            time.sleep(0.2)

    def _somebody(self) -> bool:
        try:
            with open_crew(self.address):
                return True
        except BadInput as error:
            if "has no worker" not in str(error):
                raise
            return False

    def stop(self) -> None:
        """Ends all of it."""
        for running in self._running:
            with suppress(ProcessLookupError):
                os.killpg(running.pid, signal.SIGKILL)
            running.wait()
        self._running.clear()


@contextmanager
def cluster_in(folder: Path) -> Generator[Cluster]:
    cluster = Cluster(folder)
    try:
        yield cluster
    finally:
        cluster.stop()


@dataclass(frozen=True)
class FarHost:
    """A network namespace at the other end of a cable: it reaches `near`, and nothing else."""

    name: str
    near: str
    far: str

    def before(self, *hidden: Path) -> list[str]:
        """Words that put a command onto this host, where the folders `hidden` are empty."""
        covered = "".join(f"mount -t tmpfs none '{folder}'; " for folder in hidden)
        return ["ip", "netns", "exec", self.name, "unshare", "--mount", "--uts", "sh", "-c", f'hostname far; {covered}exec "$@"', "sh"]


@contextmanager
def far_host() -> Generator[FarHost]:
    """Skips the test where namespaces are not to be had."""
    if shutil.which("ip") is None or shutil.which("unshare") is None:
        pytest.skip("no `ip` or `unshare` here: a second network host cannot be made")
    number = os.getpid() % 250
    host = FarHost(f"ai{os.getpid()}", f"10.231.{number}.1", f"10.231.{number}.2")
    near, far = f"ain{number}", f"aif{number}"
    steps = [
        f"ip netns add {host.name}",
        f"ip link add {near} type veth peer name {far} netns {host.name}",
        f"ip address add {host.near}/30 dev {near}",
        f"ip link set {near} up",
        f"ip -n {host.name} address add {host.far}/30 dev {far}",
        f"ip -n {host.name} link set {far} up",
        f"ip -n {host.name} link set lo up",
        f"ip netns exec {host.name} unshare --mount --uts true",
    ]
    try:
        for step in steps:
            done = subprocess.run(step.split(), capture_output=True, text=True, check=False)
            if done.returncode:
                pytest.skip(f"no second network host may be made here: `{step}` says {done.stderr.strip()[:200]}")
        yield host
    finally:
        subprocess.run(["ip", "netns", "del", host.name], capture_output=True, check=False)
        subprocess.run(["ip", "link", "del", near], capture_output=True, check=False)
