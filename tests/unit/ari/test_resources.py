from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_ari_sla.ari.resources import (
    Application,
    AsteriskInfo,
    AsteriskPing,
    Bridge,
    Channel,
    DialplanPosition,
    ExternalMedia,
    LiveRecording,
    Playback,
    Variable,
    timestamp_ns,
)

DATA = Path(__file__).parents[2] / "data" / "ari"


@pytest.fixture(params=["16", "22"])
def answers(request: pytest.FixtureRequest) -> dict[str, Any]:
    """Answers of a real Asterisk, by a short name of the request."""
    answers: dict[str, Any] = json.loads((DATA / f"resources-{request.param}.json").read_text())
    return answers


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("info", AsteriskInfo),
        ("ping", AsteriskPing),
        ("em", Channel),
        ("bridge", Bridge),
        ("channels", list[Channel]),
        ("bridges", list[Bridge]),
        ("app", Application),
        ("rec", LiveRecording),
        ("play", Playback),
        ("var", Variable),
    ],
)
def test_what_a_real_asterisk_answers_is_read_without_loss(answers: dict[str, Any], name: str, expected: Any) -> None:
    """Every member that the record has keeps the value that was answered."""
    record = msgspec.json.decode(json.dumps(answers[name]), type=expected)
    read = json.loads(msgspec.json.encode(record))
    assert read == covering(read, answers[name])


def covering(read: Any, sent: Any) -> Any:
    """Return ``sent`` with the members of ``read``: those that it lacks are taken over, those too many left out."""
    if isinstance(sent, list):
        assert len(read) == len(sent)
        return [covering(*pair) for pair in zip(read, sent, strict=True)]
    if isinstance(sent, dict):
        return {name: covering(read[name], sent[name]) if name in sent else read[name] for name in read}
    return sent


def test_the_answer_to_external_media_holds_the_rtp_address(answers: dict[str, Any]) -> None:
    """Both versions put it into channelvars, so no second request is needed."""
    channel = msgspec.json.decode(json.dumps(answers["em"]), type=Channel)
    assert channel.channelvars["UNICASTRTP_LOCAL_ADDRESS"] == "127.0.0.1"
    assert channel.channelvars["UNICASTRTP_LOCAL_PORT"].isdecimal()


def test_info_knows_the_version(answers: dict[str, Any]) -> None:
    """Also where the answer lacks the part that holds it."""
    assert msgspec.json.decode(json.dumps(answers["info"]), type=AsteriskInfo).version[:2] in ("16", "22")
    assert AsteriskInfo().version == ""


@pytest.mark.parametrize(
    ("app_name", "app_data", "is_in"),
    [
        ("Stasis", "sla", True),
        ("Stasis", "sla,one,two", True),
        ("Stasis", "sla-2", False),
        ("Echo", "sla", False),
        ("", "", False),
    ],
)
def test_a_channel_is_in_an_application_while_it_executes_stasis_for_it(
    app_name: str, app_data: str, is_in: bool
) -> None:
    """The arguments of Stasis() follow the application's name after a comma."""
    channel = Channel("a", dialplan=DialplanPosition(app_name=app_name, app_data=app_data))
    assert channel.is_in_application("sla") is is_in


def test_an_external_media_has_its_channels_id() -> None:
    """It can be used wherever a channel is named."""
    assert ExternalMedia(Channel("a"), ("127.0.0.1", 4000)).id == "a"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1970-01-01T00:00:00.001+0000", 1_000_000),
        ("1970-01-01T01:00:00.000+0100", 0),
        ("2026-11-22T13:57:05.760+0000", 1_795_355_825_760_000_000),
        ("", None),
        ("yesterday", None),
        ("2026-11-22T13:57:05.760", None),
    ],
)
def test_a_time_stamp_is_counted_from_the_epoch(text: str, expected: int | None) -> None:
    """What has no zone cannot be placed, and is no time stamp."""
    assert timestamp_ns(text) == expected


@given(
    st.datetimes(datetime(1970, 1, 1), datetime(2200, 1, 1)),
    st.integers(-14 * 60, 14 * 60),
)
def test_a_time_stamp_is_exact_in_every_zone(moment: datetime, offset_minutes: int) -> None:
    """No precision is lost in a float."""
    milliseconds = moment.replace(microsecond=moment.microsecond // 1000 * 1000)
    there = milliseconds.replace(tzinfo=timezone(timedelta(minutes=offset_minutes)))
    text = there.strftime("%Y-%m-%dT%H:%M:%S.") + f"{there.microsecond // 1000:03d}" + there.strftime("%z")
    since_epoch = there - datetime(1970, 1, 1, tzinfo=UTC)
    assert timestamp_ns(text) == since_epoch // timedelta(milliseconds=1) * 1_000_000
