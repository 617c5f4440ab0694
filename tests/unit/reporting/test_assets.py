import hashlib
from importlib import resources

ASSETS = resources.files("pytest_ari_sla.reporting").joinpath("assets")


def test_the_charting_library_is_the_published_file() -> None:
    """Nobody has changed it, and the note beside it tells which release it is."""
    digest = hashlib.sha256(ASSETS.joinpath("echarts.min.js").read_bytes()).hexdigest()
    assert digest in ASSETS.joinpath("README.md").read_text("utf-8")


def test_its_licences_are_shipped_with_it() -> None:
    """The licence demands that, and the notice as well."""
    assert "Apache License" in ASSETS.joinpath("echarts-LICENSE").read_text("utf-8")
    assert "Apache ECharts" in ASSETS.joinpath("echarts-NOTICE").read_text("utf-8")
    assert "Bostock" in ASSETS.joinpath("echarts-LICENSE-d3").read_text("utf-8")
