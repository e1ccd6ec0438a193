"""A worker that carries out what the residency policy says, and checks each command by a record of its own."""

from collections.abc import Sequence
from typing import Any, Final

import hypothesis.strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize

from actors.policies.residency import Residency
from actors.policies.resident import Evict, Limits, Load, Need, Refuse
from protocol.ids import Millis, ModelId
from tests.policies.naive_memory import NaiveMemory

MODELS: Final = tuple(ModelId(name) for name in "abcde")
DEFAULT: Final = MODELS[0]
_BASES: Final = (MODELS[0], MODELS[1], None)


def _five(each: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Any]]:
    return st.lists(each, min_size=len(MODELS), max_size=len(MODELS))


_SIZES: Final = st.tuples(_five(st.integers(0, 120)), _five(st.integers(1, 200)))
"""Of what is each model's own, and of what it shares if others name it as their base."""


def _needs(owns: Sequence[int], bases: Sequence[ModelId | None], shared: Sequence[int]) -> dict[ModelId, Need]:
    sizes: dict[ModelId | None, int] = {None: 0, **dict(zip(MODELS, shared, strict=True))}
    return {model: Need(own, base, sizes[base]) for model, own, base in zip(MODELS, owns, bases, strict=True)}


class RecordedResidency(RuleBasedStateMachine):
    """What is where, who holds what, and what may happen next, as anybody would note it down."""

    @initialize(
        bases=_five(st.sampled_from(_BASES)),
        estimated=_SIZES,
        true=st.none() | _SIZES,
        ttl_ms=st.integers(0, 50),
        min_residency_ms=st.integers(0, 50),
        resident_cap=st.integers(1, 4),
        memory_cap_mb=st.none() | st.integers(50, 500),
        max_parallel_loads=st.integers(1, 3),
    )
    def begin(
        self,
        *,
        bases: list[ModelId | None],
        estimated: tuple[list[int], list[int]],
        true: tuple[list[int], list[int]] | None,
        ttl_ms: int,
        min_residency_ms: int,
        resident_cap: int,
        memory_cap_mb: int | None,
        max_parallel_loads: int,
    ) -> None:
        self.limits = Limits(
            ttl_ms=ttl_ms,
            min_residency_ms=min_residency_ms,
            resident_cap=resident_cap,
            memory_cap_mb=memory_cap_mb,
            max_parallel_loads=max_parallel_loads,
            first_pause_ms=10,
            longest_pause_ms=35,
        )
        estimates, truth = (_needs(owns, bases, shared) for owns, shared in (estimated, true or estimated))
        self.memory = NaiveMemory(estimates, truth)
        self.policy = Residency(estimates, limits=self.limits)
        self.now = Millis(0)
        self.number = 0
        self.holds: dict[int, ModelId] = {}
        self.background: set[ModelId] = set()
        self.queue: list[ModelId] = []
        self.loading: list[ModelId] = []
        self.resident: dict[ModelId, Millis] = {}
        self.leaving: list[ModelId] = []
        self.used: dict[ModelId, Millis] = {}
        self.failures: dict[ModelId, int] = {}
        self.retry_at: dict[ModelId, Millis] = {}
        self.renewing: set[ModelId] = set()

    def _end_load(self, model: ModelId, *, is_measured: bool) -> None:
        """Measured is what it has really taken, with its base if nobody else had brought that."""
        self.loading.remove(model)
        with_base = not any(self._shares(model, other) for other in (*self.resident, *self.leaving, *self.loading))
        measured = self.memory.loading_takes(model, with_base=with_base) if is_measured else 0
        self.memory.history.append((model, measured, with_base))
        self.policy.loaded(model, self.now, measured, with_base=with_base)
        self.resident[model] = self.used[model] = self.now
        self.failures.pop(model, None)
        self.background.discard(model)
        self._carry_out()

    def _end_leaving(self, model: ModelId) -> None:
        self.leaving.remove(model)
        self.policy.gone(model)
        self._renew(model)
        self._carry_out()

    # --- the worker --------------------------------------------------------------------------------------------------
    def _carry_out(self, asked: ModelId | None = None) -> int:
        commands = self.policy.due(self.now)
        for command in commands:
            match command:
                case Evict(model, reason):
                    self._check_eviction(model, reason, asked)
                    del self.resident[model]
                    self.leaving.append(model)
                case Load(model):
                    self._check_load(model)
                    self.queue.remove(model)
                    self.loading.append(model)
                case Refuse(model):
                    self._check_refusal(model)
                    self.queue.remove(model)
                    self._forsake(model)
        return len(commands)

    def _check_eviction(self, model: ModelId, reason: str, asked: ModelId | None) -> None:
        assert model in self.resident
        assert not self._held(model), "it is in use"
        match reason:
            case "ttl":
                assert model != DEFAULT
                assert self.now >= self._expires_at(model)
            case "cap" | "memory":
                idle = [other for other in self.resident if not self._held(other)]
                assert model != DEFAULT or idle == [DEFAULT], "the default goes last"
            case "reload":
                assert model in self.renewing
            case _:
                assert model == asked

    def _check_load(self, model: ModelId) -> None:
        assert self.queue[0] == model, "first come, first served"
        assert self.now >= self.retry_at.get(model, 0) or model not in self.failures
        assert model not in (*self.resident, *self.loading, *self.leaving)
        is_one_more = len(self.resident) + len(self.loading) >= self.limits.resident_cap
        assert not is_one_more or self._held(model), "nobody would use what exceeds the cap"
        cap = self.limits.memory_cap_mb
        assert cap is None or self._memory([*self.resident, *self.loading, *self.leaving, model]) <= cap
        if any(self._shares(model, other) for other in self.leaving):
            assert any(self._shares(model, other) for other in (*self.resident, *self.loading)), "its base just goes"

    def _check_refusal(self, model: ModelId) -> None:
        """Only if there is no room beside what is in use."""
        assert self.queue[0] == model
        used = [other for other in (*self.resident, *self.loading) if self._held(other)]
        cap = self.limits.memory_cap_mb
        too_large = cap is not None and self._memory([*used, model]) > cap
        too_many = not self._held(model) and len(used) >= self.limits.resident_cap
        assert too_large or too_many

    def _held(self, model: ModelId) -> bool:
        return model in self.holds.values()

    def _memory(self, models: Sequence[ModelId]) -> int:
        return self.memory.counted(models)

    def _shares(self, model: ModelId, other: ModelId) -> bool:
        base = self.memory.needs[model].base
        return base is not None and self.memory.needs[other].base == base

    def _expires_at(self, model: ModelId) -> int:
        return max(self.used[model] + self.limits.ttl_ms, self.resident[model] + self.limits.min_residency_ms)

    def _pause(self, model: ModelId) -> int:
        return max(0, self.retry_at[model] - self.now) if model in self.failures else 0

    def _ask(self, model: ModelId) -> None:
        if model not in (*self.resident, *self.loading, *self.queue):
            self.queue.append(model)

    def _forsake(self, model: ModelId) -> None:
        self.holds = {number: held for number, held in self.holds.items() if held != model}
        self.background.discard(model)

    def _renew(self, model: ModelId) -> None:
        if model in self.renewing:
            self.renewing.discard(model)
            self.background.add(model)
            self._ask(model)

    def teardown(self) -> None:
        """Whatever has begun ends: then nobody waits any more."""
        if not hasattr(self, "policy"):
            return
        for _ in range(4 * len(MODELS)):
            for model in tuple(self.leaving):
                self.leaving.remove(model)
                self.policy.gone(model)
                self._renew(model)
            for model in tuple(self.loading):
                self.loading.remove(model)
                self.policy.loaded(model, self.now)
                self.resident[model] = self.used[model] = self.now
                self.background.discard(model)
                self.failures.pop(model, None)
            self._carry_out()
        assert self.queue == []
