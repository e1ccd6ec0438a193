import io

from rich.console import Console

from actors.cli.pull_progress import PullProgress


def shown(*, watched: bool) -> str:
    screen = io.StringIO()
    with PullProgress("piper-mine", Console(file=screen, force_terminal=watched, width=120)) as progress:
        for here in (0, 500_000, 1_000_000):
            progress.update("deep/model.onnx", here, 1_000_000)
        progress.update("deep/model.onnx.json", 10, 10)
    return screen.getvalue()


def test_each_file_has_a_bar_that_fills() -> None:
    text = shown(watched=True)
    assert "piper-mine model.onnx" in text
    assert "1.0/1.0 MB" in text
    assert "piper-mine model.onnx.json" in text


def test_nothing_is_drawn_where_nobody_watches() -> None:
    assert not shown(watched=False).strip()
