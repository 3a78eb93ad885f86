"""What is particular to one machine, as systemd reads it."""

import pytest

from modelkeep.cli.service_unit import Installation, drop_in, is_loopback

RUN = ["/opt/mk/bin/modelkeep", "run"]


def lines(installed: Installation, *away: str) -> list[str]:
    """Return the lines without comments."""
    return [line for line in drop_in(installed, lambda root: root in away).splitlines() if line[:1] not in ("#", "")]


def test_a_drop_in_names_program_roots_mounts_and_data() -> None:
    installed = Installation(RUN, ["/srv/models", "/mnt/usb"], ["/home/me/state"])
    assert lines(installed, "/mnt/usb") == [
        "[Unit]",
        "RequiresMountsFor=/srv/models",
        "[Service]",
        "ExecStart=",
        "ExecStart=/opt/mk/bin/modelkeep run",
        "ReadOnlyPaths=-/srv/models",
        "ReadOnlyPaths=-/mnt/usb",
        "ReadWritePaths=/home/me/state",
    ]


def test_names_that_mean_something_to_systemd_are_quoted() -> None:
    installed = Installation(["/opt/$new/100%/a b", "run"], ['/srv/it\'s "new" \\ 5%', "/srv/two\nlines"])
    assert lines(installed) == [
        "[Unit]",
        'RequiresMountsFor="/srv/it\'s \\"new\\" \\\\ 5%%"',
        "[Service]",
        "ExecStart=",
        'ExecStart="/opt/$$new/100%%/a b" run',
        'ReadOnlyPaths="-/srv/it\'s \\"new\\" \\\\ 5%%"',
    ]


def test_a_root_among_temporary_files_is_shown_to_the_service() -> None:
    assert "BindReadOnlyPaths=-/tmp/models" in lines(Installation(RUN, ["/tmp/models", "/srv/models"]))


@pytest.mark.parametrize(
    ("host", "opened"), [("127.0.0.1", False), ("::1", False), ("localhost", False), ("0.0.0.0", True), ("nas", True)]
)
def test_other_machines_reach_it_only_where_the_configuration_lets_them_in(host: str, opened: bool) -> None:
    assert is_loopback(host) is not opened
    assert ("IPAddressAllow=any" in lines(Installation(RUN, ["/m"], host=host))) is opened
