"""What stands in the tables of workers and models, where voices share a base."""

from typing import Any

from actors.cli.fleet_rows import MODEL_COLUMNS, WORKER_COLUMNS, model_rows, without_empty, worker_rows
from protocol.ids import ModelId, WorkerName
from protocol.ports import WorkerView
from protocol.workers import Announcement, Load, ModelStatus

BASE, ADA = ModelId("csm-1b"), ModelId("csm-ada")


def a_view(*models: ModelStatus, **load: Any) -> WorkerView:
    announced = Announcement(name=WorkerName("tts-csm-0"), addr="nats://tts-csm-0", metrics=Load(**load))
    return WorkerView(worker=announced, models=models, answers=True)


def cells(view: WorkerView, column: str) -> list[str]:
    return [row.cells[MODEL_COLUMNS.index(column)] for row in model_rows([view])]


def test_an_adapter_s_memory_is_its_own_and_the_base_s_is_told_once_with_how_many_stand_on_it() -> None:
    base = ModelStatus(model=BASE, state="known", memory_mb=7_000, shared_by=2, waiting=1)
    ada = ModelStatus(model=ADA, state="resident", memory_mb=150, base=BASE)
    view = a_view(base, ada)
    assert cells(view, "memory") == ["7000 MB for 2 more", "150 MB on csm-1b"]
    assert cells(view, "waiting") == ["1", "-"]


def test_where_nobody_shares_anything_the_table_is_as_narrow_as_before() -> None:
    view = a_view(ModelStatus(model=BASE, state="resident", memory_mb=60, licence="MIT"))
    assert cells(view, "memory") == ["60 MB"]
    shown = [MODEL_COLUMNS[i] for i in without_empty(MODEL_COLUMNS, model_rows([view]))]
    assert shown == ["model", "worker", "state", "users", "memory", "licence"]


def test_a_worker_s_queue_tells_how_many_of_its_voices_wait_for_each_other() -> None:
    queue = WORKER_COLUMNS.index("queue")
    assert worker_rows([a_view(queue_depth=3)], now_s=0.0)[0].cells[queue] == "3"
    assert worker_rows([a_view(queue_depth=3, waiting=1)], now_s=0.0)[0].cells[queue] == "3 (1 waiting)"
