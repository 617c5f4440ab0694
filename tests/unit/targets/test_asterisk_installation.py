from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pytest_ari_sla.errors import AsteriskStartFailed, UsageError
from pytest_ari_sla.targets.asterisk.installation import AsteriskInstallation, find_installation

if TYPE_CHECKING:
    from pathlib import Path

TRIPLET = "x86_64-linux-gnu"


def make(root: Path, *files: str) -> Path:
    """Make empty files below a folder, and the folders that they need."""
    for file in files:
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).touch()
    return root


def script(path: Path, text: str) -> AsteriskInstallation:
    """Return an installation whose binary is a shell script."""
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return AsteriskInstallation((str(path),), path.parent, path.parent)


def test_a_root_folder_is_run_by_its_own_loader_and_libraries(tmp_path: Path) -> None:
    """So neither chroot nor the libraries of this machine are needed."""
    root = make(
        tmp_path,
        "usr/sbin/asterisk",
        f"usr/lib/{TRIPLET}/ld-linux-x86-64.so.2",
        f"usr/lib/{TRIPLET}/asterisk/modules/res_ari.so",
        "usr/share/asterisk/documentation/core-en_US.xml",
    )
    found = find_installation(root)
    loader, option, libraries, binary = found.command
    assert loader == str(root / f"usr/lib/{TRIPLET}/ld-linux-x86-64.so.2")
    assert option == "--library-path"
    assert str(root / f"usr/lib/{TRIPLET}") in libraries.split(":")
    assert binary == str(root / "usr/sbin/asterisk")
    assert found.modules == root / f"usr/lib/{TRIPLET}/asterisk/modules"
    assert found.data == root / "usr/share/asterisk"


def test_a_loader_that_is_a_link_to_nowhere_is_passed_over(tmp_path: Path) -> None:
    """Debian 11 links /lib64/ld-linux-x86-64.so.2 to an absolute path, which outside the folder means another file."""
    root = make(
        tmp_path,
        "usr/sbin/asterisk",
        f"lib/{TRIPLET}/ld-2.31.so",
        "usr/lib/asterisk/modules/res_ari.so",
        "usr/share/asterisk/documentation/core-en_US.xml",
    )
    (root / "lib64").mkdir()
    (root / "lib64/ld-linux-x86-64.so.2").symlink_to("/nowhere/ld-2.31.so")
    assert find_installation(root).command[0] == str(root / f"lib/{TRIPLET}/ld-2.31.so")


def test_a_prefix_without_a_c_library_is_run_as_it_is(tmp_path: Path) -> None:
    """An Asterisk built into /opt, for example; upstream keeps its data in var/lib."""
    root = make(
        tmp_path,
        "sbin/asterisk",
        "lib/asterisk/modules/res_ari.so",
        "var/lib/asterisk/documentation/core-en_US.xml",
    )
    found = find_installation(root)
    assert found.command == (str(root / "sbin/asterisk"),)
    assert found.data == root / "var/lib/asterisk"


def test_a_binary_finds_its_parts_through_a_link_and_beside_its_prefix(tmp_path: Path) -> None:
    """With the prefix /usr upstream keeps its data in /var/lib."""
    make(
        tmp_path,
        "usr/sbin/asterisk",
        "usr/lib64/asterisk/modules/res_ari.so",
        "var/lib/asterisk/documentation/core-en_US.xml",
    )
    (tmp_path / "link").symlink_to("usr/sbin/asterisk")
    found = find_installation(tmp_path / "link")
    assert found.command == (str(tmp_path / "usr/sbin/asterisk"),)
    assert found.data == tmp_path / "var/lib/asterisk"


@pytest.mark.parametrize(
    ("files", "missing"),
    [
        (["usr/share/asterisk/documentation/core-en_US.xml"], "modules"),
        (["usr/lib/asterisk/modules/res_ari.so", "usr/share/asterisk/sounds/x"], "documentation"),
    ],
)
def test_an_incomplete_installation_names_what_is_missing(tmp_path: Path, files: list[str], missing: str) -> None:
    """Without its documentation Asterisk refuses its own configuration, with a message that helps nobody."""
    make(tmp_path, "usr/sbin/asterisk", *files)
    with pytest.raises(UsageError, match=f"its {missing} folder is not below"):
        find_installation(tmp_path)


def test_paths_without_an_asterisk_are_usage_errors(tmp_path: Path) -> None:
    """A missing path and an empty folder are told apart."""
    with pytest.raises(UsageError, match="there is no file or folder"):
        find_installation(tmp_path / "missing")
    with pytest.raises(UsageError, match=r"holds no Asterisk \(looked for usr/sbin/asterisk"):
        find_installation(tmp_path)


@pytest.mark.parametrize(
    ("printed", "version"),
    [
        ("Asterisk 22.10.1+dfsg+~cs6.17.60671434-1", "22.10.1"),
        ("Asterisk 16.28.0~dfsg-0+deb11u4", "16.28.0"),
        ("Asterisk certified/18.9-cert5", "18.9-cert5"),
        ("Asterisk GIT-master-abc", "GIT-master-abc"),
    ],
)
def test_the_version_is_without_the_distributions_additions(tmp_path: Path, printed: str, version: str) -> None:
    """Debian, certified and self-built ones print it in their own ways."""
    assert script(tmp_path / "asterisk", f"echo '{printed}'").version() == version


def test_a_binary_that_is_no_asterisk_is_told_with_what_it_printed(tmp_path: Path) -> None:
    """Its exit code or its words give it away."""
    with pytest.raises(AsteriskStartFailed, match="does not answer '-V'") as caught:
        script(tmp_path / "other", "echo hello").version()
    assert caught.value.log_tail == "hello"
    with pytest.raises(AsteriskStartFailed, match=r"libfoo\.so: cannot open"):
        script(tmp_path / "broken", "echo 'libfoo.so: cannot open' >&2; exit 127").version()


def test_a_binary_that_cannot_run_is_told(tmp_path: Path) -> None:
    """A file of another machine, or one without the permission."""
    make(tmp_path, "asterisk")
    installation = AsteriskInstallation((str(tmp_path / "asterisk"),), tmp_path, tmp_path)
    with pytest.raises(AsteriskStartFailed, match="does not run on this machine"):
        installation.version()
