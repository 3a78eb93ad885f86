"""What happens in the box: a service is installed, used, killed, hung, reloaded, stopped and removed.

Runs as root under the box's own systemd, with nothing but the standard library. It only takes down what it sees, as
JSON in `/run/box/seen.json`; the tests judge it.
"""

import fcntl
import json
import os
import pwd
import shutil
import signal
import socket
import struct
import subprocess
import time
import traceback
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

BOX = Path("/run/box")
PROGRAM = "/opt/modelkeep/bin/modelkeep"
MODELS = Path("/srv/demo/models")
MORE = Path("/srv/more")
ODD = Path('/srv/odd "name" 100%')
CONFIG = Path("/etc/modelkeep/modelkeep.toml")
DATA = Path("/var/lib/modelkeep")
TUNING = Path("/run/systemd/system/modelkeep.service.d/90-test.conf")
OTHER_MACHINE = "192.0.2.1"
"""An address of TEST-NET (RFC 5737): on this machine's own loopback device, but no loopback address."""

DEADLINE_SECONDS = 120.0
_SIOCSIFADDR = 0x8916

Seen = dict[str, Any]


def run(*command: str, user: pwd.struct_passwd | None = None) -> Seen:
    """Run a command; returns its exit status and what it said."""
    environment, options = dict(os.environ), Seen()
    if user is not None:
        environment |= {"HOME": user.pw_dir, "XDG_RUNTIME_DIR": f"/run/user/{user.pw_uid}"}
        options = {"user": user.pw_uid, "group": user.pw_gid, "cwd": user.pw_dir}
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=DEADLINE_SECONDS,
        env=environment,
        extra_groups=[],
        **options,
    )
    return {"status": done.returncode, "out": done.stdout, "err": done.stderr}


def modelkeep(*arguments: str) -> Seen:
    return run(PROGRAM, *arguments)


def properties(*names: str, unit: str = "modelkeep") -> dict[str, str]:
    lines = run("systemctl", "show", unit, f"--property={','.join(names)}")["out"].splitlines()
    return dict(line.split("=", 1) for line in lines)


def main_pid() -> int:
    return int(properties("MainPID")["MainPID"])


def wait_for(condition: Callable[[], Any], what: str) -> Any:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not (value := condition()):
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.2)
    return value


def get(path: str) -> Any:
    """Ask the daemon; returns None when it does not answer."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:8189{path}", timeout=60) as answer:
            return json.load(answer)
    except (urllib.error.URLError, OSError):
        return None


def at_rest() -> Any:
    """Return the status once nothing waits any more."""
    status = get("/api/status")
    is_done = status and status["state"] == "running" and not status["hashing"]["active"]
    return status if is_done and not status["pending"]["waiting"] + status["pending"]["hashing"] else None


def log(*match: str) -> list[dict[str, Any]]:
    """Return records of journald."""
    run("journalctl", "--sync")
    lines = run("journalctl", "-u", "modelkeep", "-o", "json", *match)["out"].splitlines()
    return [json.loads(line) for line in lines]


def tune(**values: str) -> None:
    """Make waiting shorter than the unit that ships does."""
    unit_keys = ("StartLimitBurst",)
    TUNING.parent.mkdir(parents=True, exist_ok=True)
    unit = [f"{key}={value}" for key, value in values.items() if key in unit_keys]
    service = [f"{key}={value}" for key, value in values.items() if key not in unit_keys]
    TUNING.write_text("\n".join(["[Unit]", *unit, "[Service]", *service, ""]))
    run("systemctl", "daemon-reload")


def restarted(before: int) -> Any:
    known = properties("NRestarts", "ActiveState", "ActiveEnterTimestampMonotonic", "MainPID")
    return known if int(known["NRestarts"]) > before and known["ActiveState"] == "active" else None


# What happens, in this order


def install() -> Seen:
    made = modelkeep("dev", "demo", "/srv/demo")
    ODD.mkdir()
    Path("/srv/my.toml").write_text(
        f"[[roots]]\npath = '{MODELS}'\n[[roots]]\npath = '{ODD}'\n"
        "[watch]\nsettle_seconds = 0.2\n[sweep]\nretry_base_seconds = 0.5\n"
    )
    first = modelkeep("--config", "/srv/my.toml", "service", "install", "--system")
    at_ready = get("/api/status")
    pid = main_pid()
    second = modelkeep("service", "install", "--system")
    shown = properties("ActiveState", "UnitFileState", "Type", "RequiresMountsFor", "ReadOnlyPaths", "User", "Nice")
    seen = {"made": made, "first": first, "second": second, "shown": shown, "at_ready": at_ready}
    seen["pids"] = [pid, main_pid()]
    seen["files"] = {str(path): path.stat().st_mode & 0o777 for path in (CONFIG, DATA, DATA / "modelkeep.sock")}
    seen["verified"] = run("systemd-analyze", "verify", "/etc/systemd/system/modelkeep.service")
    return seen


def migrate_a_library() -> Seen:
    database = next(Path("/srv/demo").rglob("*.sqlite3"))
    taken = modelkeep("import", "hikaze", str(database))
    status = wait_for(at_rest, "the library to be migrated")
    model = get("/api/models?limit=1")["models"][0]
    return {
        "import": taken,
        "status": status,
        "tags": status["tags"],
        "text": wait_for(lambda: (t := properties("StatusText")["StatusText"]).startswith("idle") and t, "idleness"),
        "command": modelkeep("service", "status", "--system", "--json"),
        "model": model,
        "records": log(f"MODEL_SHA256={model['sha256']}"),
    }


def kill_it() -> Seen:
    tune(RestartSec="100ms", WatchdogSec="8s", Nice="0")
    before = get("/api/status")
    for number in range(40):
        (MODELS / "loras" / f"new-{number}.pt").write_bytes(b"model %d" % number * 2000)
    wait_for(lambda: get("/api/status")["models"] > before["models"], "the first of the new files")
    os.kill(main_pid(), signal.SIGKILL)
    known = wait_for(lambda: restarted(0), "the restart after the kill")
    at_ready = get("/api/status")
    started = log("MODELKEEP_EVENT=daemon.started")[-1]
    after = wait_for(at_rest, "the rest of the new files")
    return {
        "before": before,
        "after": after,
        "known": known,
        "at_ready": at_ready,
        "started": started,
        "doctor": run(PROGRAM, "doctor", "--json", user=pwd.getpwnam("modelkeep")),
    }


def hang_it() -> Seen:
    before, pid = int(properties("NRestarts")["NRestarts"]), main_pid()
    os.kill(pid, signal.SIGSTOP)
    known = wait_for(lambda: restarted(before), "the restart after the hang")
    tune(RestartSec="100ms", Nice="0")  # from now on a busy machine may be slow
    said = [str(record["MESSAGE"]) for record in log(f"_PID={pid}")]
    by_manager = run("journalctl", "_PID=1", "-o", "cat")["out"]
    return {"known": known, "pids": [pid, main_pid()], "said": said, "by_manager": by_manager}


def reload_it() -> Seen:
    pid = main_pid()
    text = CONFIG.read_text()
    CONFIG.write_text(f"{text}\n[nonsense]\n")
    refused = run("systemctl", "reload", "modelkeep")
    errors = wait_for(lambda: log("-p", "err", "MODELKEEP_EVENT=settings.refused"), "the refusal")
    MORE.mkdir()
    (MORE / "added.pt").write_bytes(b"added" * 1000)
    CONFIG.write_text(f'{text}\n[[roots]]\npath = "{MORE}"\n')
    taken = run("systemctl", "reload", "modelkeep")
    wait_for(lambda: get("/api/models?limit=1&q=added")["models"], "the model of the new root")
    state = properties("ActiveState")["ActiveState"]
    return {"refused": refused, "taken": taken, "errors": errors, "pids": [pid, main_pid()], "state": state}


def try_the_sandbox() -> Seen:
    _give_address("lo:0", OTHER_MACHINE)
    _make_probe(Path("/etc/systemd/system"), BOX / "probe.json")
    run("systemctl", "daemon-reload")
    with socket.create_server((OTHER_MACHINE, 9)):
        with socket.create_connection((OTHER_MACHINE, 9), timeout=2):
            pass  # without the sandbox it is reached
        started = run("systemctl", "start", "probe")
    return {"started": started, "probe": json.loads((BOX / "probe.json").read_text() or "{}")}


def stop_it() -> Seen:
    (MODELS / "large.pt").write_bytes(os.urandom(1 << 20) * 64)
    stopped = run("systemctl", "stop", "modelkeep")
    shown = properties("ActiveState", "Result", "ExecMainStatus", "ExecMainCode")
    off = modelkeep("service", "status", "--system")
    return {"stopped": stopped, "shown": shown, "off": off}


def fail_again_and_again() -> Seen:
    tune(RestartSec="50ms", StartLimitBurst="3", Nice="0")
    run("systemctl", "reset-failed", "modelkeep")
    with socket.create_server(("127.0.0.1", 8189)):  # the daemon's port is another program's
        refused = modelkeep("service", "install", "--system")
        wait_for(lambda: properties("ActiveState")["ActiveState"] == "failed", "the end of the restarts")
    return {"refused": refused, "known": properties("ActiveState", "Result", "NRestarts")}


def uninstall() -> Seen:
    first = modelkeep("service", "uninstall", "--system")
    second = modelkeep("service", "uninstall", "--system")
    left = [str(path) for path in Path("/etc/systemd/system").rglob("modelkeep*")]
    return {
        "first": first,
        "second": second,
        "left": left,
        "kept": [str(path) for path in (CONFIG, DATA / "modelkeep.db") if path.exists()],
        "state": properties("LoadState", "ActiveState"),
    }


def a_user_has_one_too() -> Seen:
    run("systemd-sysusers", "--inline", 'u owner - "" /home/owner /bin/sh')
    user = pwd.getpwnam("owner")
    for folder in ("/home/owner", "/home/owner/models", f"/run/user/{user.pw_uid}"):
        Path(folder).mkdir(parents=True, mode=0o700)
        os.chown(folder, user.pw_uid, user.pw_gid)
    _start_manager_of(user)
    (Path(user.pw_dir) / "models" / "own.pt").write_bytes(b"own" * 1000)
    configured = run(PROGRAM, "init", "--root", "/home/owner/models", user=user)
    installed = run(PROGRAM, "service", "install", user=user)
    wait_for(lambda: get("/api/models?limit=1")["models"], "the user's model")
    status = run(PROGRAM, "service", "status", "--json", user=user)
    units = Path("/home/owner/.config/systemd/user")
    answer = BOX / "user-probe.json"
    answer.touch()
    answer.chmod(0o666)
    _make_probe(units, answer)
    run("systemctl", "--user", "daemon-reload", user=user)
    probed = run("systemctl", "--user", "start", "probe", user=user)
    removed = run(PROGRAM, "service", "uninstall", user=user)
    return {
        "configured": configured,
        "installed": installed,
        "status": status,
        "probed": probed,
        "probe": json.loads(answer.read_text() or "{}"),
        "removed": removed,
        "left": [str(path) for path in units.rglob("modelkeep*")],
        "kept": (Path(user.pw_dir) / ".local/state/modelkeep/modelkeep.db").exists(),
    }


def _start_manager_of(user: pwd.struct_passwd) -> None:
    """Start a user's own systemd as user@.service does, but for PAM."""
    Path("/run/systemd/system/manager.service").write_text(
        f"[Service]\nType=notify\nUser={user.pw_name}\nDelegate=yes\nExecStart=/lib/systemd/systemd --user\n"
        f"Environment=HOME={user.pw_dir} XDG_RUNTIME_DIR=/run/user/{user.pw_uid}\n"
    )
    run("systemctl", "daemon-reload")
    started = run("systemctl", "start", "manager")
    assert started["status"] == 0, started["err"]


def _make_probe(units: Path, answer: Path) -> None:
    """Make a unit that runs the probe in the sandbox of the service."""
    shutil.copy(units / "modelkeep.service", units / "probe.service")
    shutil.copytree(units / "modelkeep.service.d", units / "probe.service.d")
    (units / "probe.service.d" / "90-probe.conf").write_text(
        "[Service]\nType=oneshot\nWatchdogSec=0\nRestart=no\nExecStart=\n"
        f"ExecStart=/opt/modelkeep/bin/python /run/box/probe.py\nStandardOutput=truncate:{answer}\n"
    )


def _give_address(device: str, address: str) -> None:
    """Give a network device an address, as netdevice(7) says."""
    request = struct.pack("16sH2s4s8x", device.encode(), socket.AF_INET, b"", socket.inet_aton(address))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        fcntl.ioctl(control, _SIOCSIFADDR, request)


STEPS = (
    install,
    migrate_a_library,
    kill_it,
    hang_it,
    reload_it,
    try_the_sandbox,
    stop_it,
    fail_again_and_again,
    uninstall,
    a_user_has_one_too,
)


def main() -> None:
    """Go through the steps; what a failing one leaves is no ground for the next."""
    seen: Seen = {}
    for step in STEPS:
        began = time.monotonic()
        try:
            seen[step.__name__] = step()
        except Exception:
            seen["failed"] = f"{step.__name__}: {traceback.format_exc()}"
        print(f"{step.__name__}: {time.monotonic() - began:.1f} s", flush=True)
        (BOX / "seen.json").write_text(json.dumps(seen))
        if "failed" in seen:
            break
    (BOX / "log.txt").write_text(run("journalctl", "-o", "short-monotonic", "--no-pager")["out"])


if __name__ == "__main__":
    main()
