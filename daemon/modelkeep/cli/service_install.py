"""The steps of `modelkeep service install` and `uninstall`, each told when it changes something."""

import os
import shutil
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from rich.console import Console

from modelkeep.cli.context import Invocation
from modelkeep.cli.exits import Refused
from modelkeep.cli.new_file import write_new_file
from modelkeep.cli.service import log_command
from modelkeep.cli.service_place import (
    ACCOUNT,
    SYSTEM_DATA,
    UNIT,
    USERS_FILE,
    Place,
    needed_to_run,
    program,
    put,
    run,
    unreachable_for,
)
from modelkeep.cli.service_unit import Installation, can_stand_in_unit, drop_in, is_hidden
from modelkeep.cli.wording import clean
from modelkeep.disk.durable import make_folder
from modelkeep.disk.mounts import may_be_away
from modelkeep.domain.naming import Root
from modelkeep.errors import DaemonError, SettingsError
from modelkeep.settings.configuration import (
    CONFIG_VARIABLE,
    SYSTEM_FILE,
    configuration_text,
    shipped_unit,
    with_data_dir,
)
from modelkeep.settings.model import Settings, load_settings


def install_service(call: Invocation, place: Place, out: Console) -> None:
    """Put the service in place, enable and start it; what is as it should be is left alone."""
    roots = call.settings.model_roots()
    if not roots or call.shows_demo:  # a demo is not what anybody wants to have served from now on
        named = call.settings.config_file
        first = f"add a [[roots]] with its path to {named}" if named else call.command("init")
        raise Refused(f"no root is configured, so there is nothing to watch; first: {first}")
    settings = _system_settings(call, out) if place.is_system else _user_settings(call, out)
    _refuse_hidden([*needed_to_run(), str(settings.config_file), str(settings.data_dir)])
    _warn_of_environment(settings, out)
    _warn_of_roots(roots, place, out)
    command = [*program(), "--config", str(settings.config_file), "--data-dir", str(settings.data_dir), "run"]
    writable = _writable(settings, place)
    installed = Installation(command, [root.path for root in roots], writable, settings.api.host)
    texts = {
        place.unit: shipped_unit(f"{place.name}/{UNIT}"),
        place.drop_in: drop_in(installed, may_be_away),
    }
    changed = [path for path, text in texts.items() if put(path, text)]
    for path in changed:
        out.print(f"Written: {clean(path)}")
    _start(place, bool(changed), out)


def uninstall_service(place: Place, out: Console) -> None:
    """Stop the service and remove what `install_service` has put in place, but for configuration and data."""
    if not place.unit.exists() and not place.drop_in.exists():
        out.print(f"No {place.name} service is installed.")
        return
    if place.unit.exists():
        place.systemctl("disable", "--now", UNIT)
        out.print("Stopped and disabled.")
    for path in (place.unit, place.drop_in, *([USERS_FILE] if place.is_system else [])):
        if path.exists():
            path.unlink()
            out.print(f"Removed: {clean(path)}")
    if place.drop_in.parent.is_dir() and not any(place.drop_in.parent.iterdir()):
        place.drop_in.parent.rmdir()
    place.systemctl("daemon-reload")
    with suppress(DaemonError):  # only what has failed can be told to forget it
        place.systemctl("reset-failed", UNIT)
    where = f" in {SYSTEM_FILE} and {SYSTEM_DATA}, and so does the user {ACCOUNT}" if place.is_system else ""
    out.print(f"Configuration and data stay{where}.")


def _start(place: Place, changed: bool, out: Console) -> None:
    if changed:
        place.systemctl("daemon-reload")
    before = place.properties("UnitFileState", "ActiveState")
    if before["UnitFileState"] != "enabled":
        place.systemctl("enable", UNIT)
        out.print("Enabled: it starts with " + ("the machine." if place.is_system else "your session."))
    runs = before["ActiveState"] == "active"
    if runs and not changed:
        out.print("It runs already, and nothing has changed.")
        return
    try:
        place.systemctl("restart" if runs else "start", UNIT)
    except DaemonError as error:
        said = _last_words(place) or str(error)
        raise DaemonError(f"it does not start; its log ({log_command(place)}) ends with:\n{said}") from error
    out.print(f"{'Restarted' if runs else 'Started'}: it has recovered and watches its roots.", style="bold")
    out.print(f"Its log: {log_command(place)} -f")
    if not place.is_system:
        out.print("It ends with your last session, unless `loginctl enable-linger` says otherwise.")


def _last_words(place: Place) -> str:
    with suppress(DaemonError):
        return run(*log_command(place).split(), "--lines=5", "--output=cat", "--no-pager")
    return ""


# The configuration and the data folder


def _user_settings(call: Invocation, out: Console) -> Settings:
    settings = call.settings
    if settings.config_file is None:
        raise Refused(
            f"the roots are in no configuration file that a service could read; first: {call.command('init')}"
        )
    if not settings.data_dir.is_dir():
        make_folder(settings.data_dir)
        settings.data_dir.chmod(0o700)
    out.print(f"Configuration: {clean(settings.config_file)}")
    out.print(f"Data: {clean(settings.data_dir)}")
    return settings


def _system_settings(call: Invocation, out: Console) -> Settings:
    _make_account(out)
    if not SYSTEM_FILE.exists():
        _write_system_file(call, out)
    settings = load_settings(SYSTEM_FILE)
    if settings.data_dir != SYSTEM_DATA:
        line = f'data_dir = "{SYSTEM_DATA}"'
        raise Refused(f"{SYSTEM_FILE}: the system service keeps its data in {SYSTEM_DATA}; write there: {line}")
    if list(unreachable_for(ACCOUNT, [str(SYSTEM_FILE)])):
        shutil.chown(SYSTEM_FILE, group=ACCOUNT)
        SYSTEM_FILE.chmod(SYSTEM_FILE.stat().st_mode | 0o040)
        out.print(f"Made readable for {ACCOUNT}: {SYSTEM_FILE}")
    for path in unreachable_for(ACCOUNT, needed_to_run()):
        raise Refused(
            f"{path} is out of reach for the user {ACCOUNT}; install modelkeep where all can read it, "
            "such as /opt (`pipx install --global modelkeep`), or use --user"
        )
    return settings


def _refuse_hidden(paths: Sequence[str]) -> None:
    for path in paths:
        if is_hidden(path):
            raise Refused(f"{path} lies among temporary files, of which the service sees its own; put it elsewhere")


def _make_account(out: Console) -> None:
    if put(USERS_FILE, shipped_unit("sysusers.d/modelkeep.conf")):
        out.print(f"Written: {USERS_FILE}")
    run("systemd-sysusers", str(USERS_FILE))


def _write_system_file(call: Invocation, out: Console) -> None:
    """Write the system's configuration: the one that this call read, with the data folder of the service."""
    settings = call.settings
    if settings.config_file is not None:
        text = settings.config_file.read_text("utf-8")
    else:
        text = configuration_text(
            [root.path for root in settings.roots], Path(settings.comfyui) if settings.comfyui else None
        )
    before = os.umask(0o077)
    try:
        write_new_file(SYSTEM_FILE, with_data_dir(text, SYSTEM_DATA))
    finally:
        os.umask(before)
    SYSTEM_FILE.parent.chmod(0o755)
    if not settings.api.token:  # whose file is for its group alone
        SYSTEM_FILE.chmod(0o644)
    try:
        same = load_settings(SYSTEM_FILE).model_roots() == settings.model_roots()
    except SettingsError:
        same = False
    if not same:
        SYSTEM_FILE.unlink()
        raise Refused(
            f"{settings.config_file} means other folders when it lies in {SYSTEM_FILE.parent}: "
            "write its paths in full, from / on"
        )
    out.print(f"Written: {SYSTEM_FILE}, from {clean(settings.config_file or 'the options of this call')}")


def _writable(settings: Settings, place: Place) -> Sequence[str]:
    """Return the folders that the unit does not open by itself."""
    wanted = [] if place.is_system else [settings.data_dir]
    if settings.socket_path is not None and not settings.socket_path.is_relative_to(settings.data_dir):
        wanted.append(settings.socket_path.parent)
    return [str(path) for path in wanted]


def _warn_of_environment(settings: Settings, out: Console) -> None:
    names = sorted(name for name in os.environ if name.upper().startswith("MODELKEEP_") and name != CONFIG_VARIABLE)
    if names:
        told = f"{', '.join(names)} of your environment will not reach the service; what it shall know belongs in"
        out.print(f"{told} {clean(settings.config_file)}", style="yellow")


def _warn_of_roots(roots: Sequence[Root], place: Place, out: Console) -> None:
    paths = [root.path for root in roots]
    if place.is_system:
        for path in unreachable_for(ACCOUNT, paths):
            advice = f"setfacl -R -m u:{ACCOUNT}:rX,d:u:{ACCOUNT}:rX {clean(path)}"
            out.print(f"{clean(path)} may be unreadable for the user {ACCOUNT}: {advice}", style="yellow")
    for path in paths:
        if not can_stand_in_unit(path):
            out.print(f"{clean(path)}: such a name cannot be written in a unit; it is read-only all the same.")
