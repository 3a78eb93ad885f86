"""What is wrong is said in one line a problem: where, which key, which value, what is allowed."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from modelkeep.errors import SettingsError
from modelkeep.settings.model import load_settings

if TYPE_CHECKING:
    from tests.unit.settings.conftest import WriteFile


def problems_of(**arguments: object) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        load_settings(**arguments)  # type: ignore[arg-type]  # whatever a test hands over
    return str(caught.value).splitlines()


PORT = "a whole number from 0 to 65535"
QUIET = "a number from 0 to 3600"
ENDINGS = 'a list of file name endings like ".safetensors", at least one'
ORIGINS = 'a list of origins like "http://localhost:8188", without a path'
ENCODING = 'the name of an encoding that holds ASCII, like "cp1252", "gbk" or "cp932"'
FOLDER = "the path of a folder"


@pytest.mark.parametrize(
    ("text", "shown", "allowed"),
    [
        ("[api]\nport = 70000", "api.port = 70000", PORT),
        ("[api]\nport = -1", "api.port = -1", PORT),
        ("[api]\nport = true", "api.port = true", PORT),
        ("[api]\nport = 1.5", "api.port = 1.5", PORT),
        ("[api]\nport = []", "api.port = a list", PORT),
        ("[api]\nhost = ''", "api.host = ''", "an address or a host name"),
        ("[watch]\nsettle_seconds = -1", "watch.settle_seconds = -1", QUIET),
        ("[watch]\nsettle_seconds = nan", "watch.settle_seconds = nan", QUIET),
        ("[watch]\nsettle_seconds = inf", "watch.settle_seconds = inf", QUIET),
        ("[watch]\nextensions = []", "watch.extensions = a list", ENDINGS),
        ("[watch]\npolling = 'often'", "watch.polling = 'often'", '"auto", "always" or "never"'),
        ("[hashing]\nworkers = 9999", "hashing.workers = 9999", "a whole number from 0 to 256"),
        (
            "[migration]\nstrategy = 'mix'",
            "migration.strategy = 'mix'",
            '"auto", "merge", "override", "delete", "ignore" or "ask"',
        ),
        ("[sidecars]\nfallback_encoding = 'rot13'", "sidecars.fallback_encoding = 'rot13'", ENCODING),
        ("[sidecars]\nfallback_encoding = 'cp-1252x'", "sidecars.fallback_encoding = 'cp-1252x'", ENCODING),
        ("[sweep]\ninterval_seconds = 0", "sweep.interval_seconds = 0", "a number from 0.05 to 86400 (a day)"),
        ("[journal]\nkeep_segments = 0", "journal.keep_segments = 0", "a whole number from 1 to 1000000"),
        ("[journal]\nsegment_bytes = 9", "journal.segment_bytes = 9", "a whole number from 4096 to 1099511627776"),
        ("data_dir = ''", "data_dir = ''", FOLDER),
        ('data_dir = "a\\u0000b"', "data_dir = 'a\\x00b'", FOLDER),
        ("dev = 'perhaps'", "dev = 'perhaps'", "true or false"),
        ("watch = 5", "watch = 5", "a table [watch]"),
        ("roots = '/srv'", "roots = '/srv'", "blocks [[roots]], each with a path"),
        ("[[roots]]\npath = ''", "roots[0].path = ''", FOLDER),
        ("[[roots]]\npath = 5", "roots[0].path = 5", FOLDER),
        (f"dev = '{'x' * 200}'", f"dev = '{'x' * 99}…", "true or false"),
    ],
)
def test_a_bad_value_is_named_with_its_file_and_what_is_allowed(
    write: "WriteFile", text: str, shown: str, allowed: str
) -> None:
    path = write(text)
    assert problems_of() == [f"{path}: {shown} is not allowed; it has to be {allowed}."]


@pytest.mark.parametrize(
    ("text", "shown", "allowed"),
    [
        ("[watch]\nextensions = ['.a', '*.b']", "watch.extensions[1] = '*.b'", ENDINGS),
        ("[watch]\nextensions = ['.']", "watch.extensions[0] = '.'", ENDINGS),
        ("[api]\nallowed_origins = ['null']", "api.allowed_origins[0] = 'null'", ORIGINS),
        ("[api]\nallowed_origins = ['*']", "api.allowed_origins[0] = '*'", ORIGINS),
        ("[api]\nallowed_origins = ['http://a/b']", "api.allowed_origins[0] = 'http://a/b'", ORIGINS),
        ("roots = ['/srv']", "roots[0] = '/srv'", "blocks [[roots]], each with a path"),
    ],
)
def test_a_bad_entry_of_a_list_is_named_by_its_place(write: "WriteFile", text: str, shown: str, allowed: str) -> None:
    path = write(text)
    assert problems_of() == [f"{path}: {shown} is not allowed in {allowed}."]


IN_API = "Allowed in [api]: allowed_origins, host, import_folders, port, socket, token."
AT_TOP = (
    "Allowed at the top level: api, comfyui, data_dir, dev, hashing, journal, migration, roots, sidecars, sweep,"
    " watch."
)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[api]\nprot = 5", f"api.prot is no known key; did you mean api.port? {IN_API}"),
        ("prot = 5", f"prot = 5 is no known key; did you mean api.port? {AT_TOP}"),
        ("[api]\ndata_dir = 5", f"api.data_dir is no known key; did you mean data_dir? {IN_API}"),
        ("[wacth]\nx = 5", f"wacth = a table is no known key; did you mean watch? {AT_TOP}"),
        ("config_file = 'x'", f"config_file = 'x' is no known key. {AT_TOP}"),
        (
            "[[roots]]\npath = '/a'\nkind = 'x'",
            "roots[0].kind = 'x' is no known key. Allowed in [roots[0]]: path, type.",
        ),
    ],
)
def test_an_unknown_key_is_named_with_what_was_meant(write: "WriteFile", text: str, sentence: str) -> None:
    path = write(text)
    assert problems_of() == [f"{path}: {sentence}"]


def test_a_root_without_a_path_says_so(write: "WriteFile") -> None:
    path = write("[[roots]]\ntype = 'x'")
    assert problems_of() == [f"{path}: roots[0].path is missing; it has to be {FOLDER}."]


def test_every_problem_has_a_line_of_its_own(write: "WriteFile", monkeypatch: pytest.MonkeyPatch) -> None:
    write("prot = 1\n[api]\nport = -1\n[watch]\npolling = 5\n")
    monkeypatch.setenv("MODELKEEP_API__HOSST", "x")
    assert len(problems_of()) == 4


def test_a_bad_value_is_named_with_its_variable(write: "WriteFile", monkeypatch: pytest.MonkeyPatch) -> None:
    path = write("[api]\nport = 1\n")
    monkeypatch.setenv("MODELKEEP_API__PORT", "many")
    monkeypatch.setenv("MODELKEEP_WATCH__EXTENSIONS", ".gguf")
    monkeypatch.setenv("MODELKEEP_HASHING", '{"workers": -1}')
    assert problems_of() == [
        "$MODELKEEP_API__PORT: api.port = 'many' is not allowed; it has to be a whole number from 0 to 65535.",
        (
            "$MODELKEEP_WATCH__EXTENSIONS: watch.extensions = '.gguf' is not allowed; "
            f"it has to be {ENDINGS}, written as JSON."
        ),
        "$MODELKEEP_HASHING: hashing.workers = -1 is not allowed; it has to be a whole number from 0 to 256.",
    ]
    assert str(path) not in "".join(problems_of())


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("MODELKEEP_API_PORT", "$MODELKEEP_API_PORT is no setting of modelkeep; did you mean $MODELKEEP_API__PORT?"),
        ("MODELKEEP_CONFG", "$MODELKEEP_CONFG is no setting of modelkeep; did you mean $MODELKEEP_CONFIG?"),
        ("MODELKEEP_ZZZZZZ", "$MODELKEEP_ZZZZZZ is no setting of modelkeep."),
    ],
)
def test_an_unknown_variable_is_an_error(
    write: "WriteFile", monkeypatch: pytest.MonkeyPatch, name: str, sentence: str
) -> None:
    write("")
    monkeypatch.setenv(name, "s3cret")
    assert problems_of() == [sentence]


def test_a_bad_value_from_the_command_line_says_so() -> None:
    assert problems_of(overrides={"api": {"port": -1}})[0].startswith("the command line: api.port = -1")


@pytest.mark.parametrize(
    "text",
    [
        '[api]\ntoken = "s3cret with spaces"',
        '[api]\ntokn = "s3cret"',
        '[api]\nTOKEN = "s3cret"',
        'token = "s3cret"',
        'api = "s3cret"',
        'api_token = "s3cret"',
        '[apii]\ntoken = "s3cret"',
        'api = [{ token = "s3cret" }]',
    ],
)
def test_the_token_is_never_shown(write: "WriteFile", text: str) -> None:
    write(text)
    assert "s3cret" not in "".join(problems_of())


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MODELKEEP_API_TOKEN", "s3cret"),
        ("MODELKEEP_API", '{"token": "s3cret"'),
        ("MODELKEEP_API", '"s3cret"'),
        ("MODELKEEP_API__TOKENN", "s3cret"),
        ("MODELKEEP_API__TOKEN", "s3cret\t"),
    ],
)
def test_the_token_is_never_shown_from_the_environment_either(
    write: "WriteFile", monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    write("")
    monkeypatch.setenv(name, value)
    assert "s3cret" not in "".join(problems_of())


def test_the_token_does_not_stand_in_the_settings_as_text(write: "WriteFile") -> None:
    write('[api]\ntoken = "s3cret"')
    settings = load_settings()
    assert settings.api.token == "s3cret"
    assert "s3cret" not in repr(settings) + str(settings)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "workstation", "[2001:db8::1]"])
def test_another_address_needs_a_token(write: "WriteFile", host: str) -> None:
    path = write(f'[api]\nhost = "{host}"')
    (problem,) = problems_of()
    assert problem.startswith(f"{path}: api.host: ")
    assert "set api.token too, or use 127.0.0.1" in problem
    write(f'[api]\nhost = "{host}"\ntoken = "s3cret"')
    assert load_settings().api.host == host.strip("[]")


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "localhost", "LocalHost", "::1", "[::1]"])
def test_this_machines_own_address_needs_none(write: "WriteFile", host: str) -> None:
    write(f'[api]\nhost = "{host}"')
    assert load_settings().api.token == ""


@pytest.mark.parametrize(
    ("written", "known"),
    [
        ("HTTP://LocalHost:8188", "http://localhost:8188"),
        ("http://example.org:80", "http://example.org"),
        ("https://example.org:443", "https://example.org"),
        ("http://[::1]:8188", "http://[::1]:8188"),
        ("tauri://localhost", "tauri://localhost"),
    ],
)
def test_an_origin_is_spelled_as_browsers_spell_it(write: "WriteFile", written: str, known: str) -> None:
    write(f'[api]\nallowed_origins = ["{written}", "{known}"]')
    assert load_settings().api.allowed_origins == (known,)


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"[api]\nport = \n", r"it is not valid TOML: Invalid value \(at line 2, column 8\)\."),
        (b"a = 1\na = 2\n", r"it is not valid TOML: .*\(at line 2"),
        (b"# x\n\n# \xff\n", r"it is not UTF-8 text \(line 3\)\."),
        (b"x = " + b"[" * 5000, r"it is not valid TOML: "),
    ],
)
def test_a_file_that_is_no_toml_is_named_with_the_line(write: "WriteFile", content: bytes, what: str) -> None:
    path = write("")
    path.write_bytes(content)
    with pytest.raises(SettingsError, match=f"^{path}: {what}"):
        load_settings()


def test_a_folder_in_place_of_the_file_is_named(home: Path) -> None:
    path = home / ".config" / "modelkeep" / "modelkeep.toml"
    path.mkdir(parents=True)
    with pytest.raises(SettingsError, match=r"modelkeep\.toml: it cannot be read: Is a directory"):
        load_settings()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_named(write: "WriteFile") -> None:
    path = write("")
    path.chmod(0)
    with pytest.raises(SettingsError, match="it cannot be read: Permission denied"):
        load_settings()


def test_a_socket_path_that_the_kernel_would_refuse_is_an_error(write: "WriteFile") -> None:
    write(f'[api]\nsocket = "/{"s" * 107}"')
    (problem,) = problems_of()
    assert "it has to be a path of at most 107 bytes" in problem
