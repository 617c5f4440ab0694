from hypothesis import given
from hypothesis import strategies as st

from pytest_ari_sla.reporting.wording.text import clean, clean_tree


def test_terminal_escapes_become_visible() -> None:
    """An escape sequence in a caller's name neither colours nor moves anything."""
    assert clean("\x1b[31mred\x1b]0;title\x07\x9b2J") == "␛[31mred␛]0;title␇�2J"


def test_line_breaks_become_spaces() -> None:
    """A name cannot begin a line of its own, such as a CI command."""
    assert clean("a\n::error::b\r\nc\td\u2028e") == "a ::error::b  c d�e"


def test_invalid_utf8_and_changes_of_direction_are_replaced() -> None:
    """Half surrogates cannot be encoded, and overrides of direction fake names."""
    assert clean(b"caf\xe9 \xff".decode("utf-8", "surrogateescape") + "\u202egpj.exe") == "caf� ��gpj.exe"


def test_text_of_all_scripts_stays() -> None:
    """Names of people are not mangled."""
    assert clean("Zoë 李 Łukasz Ελένη 🎧") == "Zoë 李 Łukasz Ελένη 🎧"


def test_a_megabyte_is_cut_and_the_cut_is_said() -> None:
    """One event cannot fill a report."""
    assert clean("x" * 2**20, limit=5) == "xxxxx… (1,048,576 characters)"
    assert clean("x" * 5, limit=5) == "xxxxx"


@given(st.text(st.characters(exclude_categories=())))
def test_cleaned_text_is_printable_encodable_and_stays_as_it_is(text: str) -> None:
    """Whatever comes in, what goes out is safe, and cleaning it again changes nothing."""
    cleaned = clean(text)
    assert cleaned.isprintable()
    cleaned.encode("utf-8")
    assert clean(cleaned) == cleaned


def test_a_tree_is_cleaned_in_keys_and_values_but_histograms_stay() -> None:
    """Encoded histograms are longer than any text and are made by this tool."""
    tree = {"a\x1b": ["\x00", 1, None, {"b": "x" * 2_000}], "hdr": "H" * 5_000, "blocks": {"rtt": ["H" * 5_000]}}
    cleaned = clean_tree(tree)
    assert cleaned["a␛"][:3] == ["␀", 1, None]
    assert cleaned["a␛"][3]["b"].endswith("(2,000 characters)")
    assert cleaned["hdr"] == "H" * 5_000
    assert cleaned["blocks"] == tree["blocks"]
