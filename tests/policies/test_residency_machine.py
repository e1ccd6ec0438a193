"""Whatever is asked for in whatever order: caps, use, times, order and pauses are honoured."""

from collections.abc import Sequence
from typing import Any, Final

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from actors.policies.residency import Residency
from actors.policies.resident import Evict, Limits, Load, Need, Refuse
from protocol.ids import Millis, ModelId
from tests.policies.naive_memory import NaiveMemory

MODELS: Final = tuple(ModelId(name) for name in "abcde")
DEFAULT: Final = MODELS[0]
_BASES: Final = (MODELS[0], MODELS[1], None)
_model = st.sampled_from(MODELS)


def _five(each: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Any]]:
    return st.lists(each, min_size=len(MODELS), max_size=len(MODELS))


_SIZES: Final = st.tuples(_five(st.integers(0, 120)), _five(st.integers(1, 200)))
"""Of what is each model's own, and of what it shares if others name it as their base."""


def _needs(owns: Sequence[int], bases: Sequence[ModelId | None], shared: Sequence[int]) -> dict[ModelId, Need]:
    sizes: dict[ModelId | None, int] = {None: 0, **dict(zip(MODELS, shared, strict=True))}
    return {model: Need(own, base, sizes[base]) for model, own, base in zip(MODELS, owns, bases, strict=True)}


class ResidencyMachine(RuleBasedStateMachine):
    """A worker that carries out what the policy says, and keeps a record of its own."""

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

    # --- what is asked for -------------------------------------------------------------------------------------------
    @rule(model=_model)
    def somebody_uses(self, model: ModelId) -> None:
        self.number += 1
        pause = self.policy.hold(model, self.number, self.now)
        assert pause == self._pause(model)
        if not pause:
            self.holds[self.number] = model
            self.used[model] = self.now
            self._ask(model)
        self._carry_out()

    @rule(model=_model)
    def somebody_wants_it_resident(self, model: ModelId) -> None:
        pause = self.policy.load(model, self.now)
        assert pause == self._pause(model)
        if not pause:
            self.used[model] = self.now
            if model not in self.resident:
                self.background.add(model)
            self._ask(model)
        self._carry_out()

    @precondition(lambda self: self.holds)
    @rule(data=st.data())
    def somebody_uses_it_no_more(self, data: st.DataObject) -> None:
        number = data.draw(st.sampled_from(sorted(self.holds)))
        model = self.holds.pop(number)
        self.policy.release(model, number, self.now)
        self.used[model] = self.now
        if model in self.queue and not self._held(model) and model not in self.background:
            self.queue.remove(model)
        self._carry_out()

    @rule(model=_model)
    def an_operator_unloads(self, model: ModelId) -> None:
        busy = self._held(model) or model in self.loading or model in self.queue
        assert self.policy.unload(model) != busy
        self._carry_out(asked=None if busy else model)

    @rule(model=_model)
    def an_operator_reloads(self, model: ModelId) -> None:
        self.policy.renew(model)
        self.failures.pop(model, None)
        if model in self.loading or model in self.resident:
            self.renewing.add(model)
        self._carry_out()

    # --- what becomes of it ------------------------------------------------------------------------------------------
    @precondition(lambda self: self.loading)
    @rule(data=st.data(), is_measured=st.booleans())
    def a_load_ends_well(self, data: st.DataObject, *, is_measured: bool) -> None:
        self._end_load(data.draw(st.sampled_from(self.loading)), is_measured=is_measured)

    @rule(model=_model, is_held=st.booleans(), is_measured=st.booleans())
    def a_model_comes_at_once(self, model: ModelId, *, is_held: bool, is_measured: bool) -> None:
        """And so do those that were in the queue before it: many are in memory then."""
        (self.somebody_uses if is_held else self.somebody_wants_it_resident)(model)
        while model in (*self.queue, *self.loading) and (self.loading or self.leaving):
            if self.loading:
                self._end_load(self.loading[0], is_measured=is_measured)
            else:
                self._end_leaving(self.leaving[0])

    @precondition(lambda self: self.loading)
    @rule(data=st.data())
    def a_load_fails(self, data: st.DataObject) -> None:
        model = data.draw(st.sampled_from(self.loading))
        self.loading.remove(model)
        self.policy.failed(model, self.now, "no weights")
        failures = self.failures[model] = self.failures.get(model, 0) + 1
        self.retry_at[model] = Millis(self.now + (10, 20, 35)[min(failures, 3) - 1])
        self.renewing.discard(model)
        self._forsake(model)
        self._carry_out()

    @precondition(lambda self: self.leaving)
    @rule(data=st.data())
    def memory_comes_back(self, data: st.DataObject) -> None:
        self._end_leaving(data.draw(st.sampled_from(self.leaving)))

    @precondition(lambda self: self.resident)
    @rule(data=st.data())
    def a_model_dies(self, data: st.DataObject) -> None:
        model = data.draw(st.sampled_from(sorted(self.resident)))
        del self.resident[model]
        self.policy.gone(model)
        self._forsake(model)
        self._renew(model)
        self._carry_out()

    # --- time --------------------------------------------------------------------------------------------------------
    @rule(ms=st.integers(1, 60))
    def time_passes(self, ms: int) -> None:
        end = self.now + ms
        while (deadline := self.policy.deadline()) is not None and deadline <= end:
            assert deadline > self.now
            self.now = Millis(deadline - 1)
            assert self.policy.due(self.now) == [], "too early by a millisecond"
            self.now = deadline
            assert self._carry_out(), "the deadline was for nothing"
        self.now = Millis(end)
        self._carry_out()

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

    # --- what always holds -------------------------------------------------------------------------------------------
    @invariant()
    def caps_are_exceeded_by_models_in_use_only(self) -> None:
        if not hasattr(self, "policy"):
            return
        kept = [*self.resident, *self.loading]
        cap = self.limits.memory_cap_mb
        if len(kept) > self.limits.resident_cap or (cap is not None and self._memory(kept) > cap):
            assert all(self._held(model) for model in self.resident)
        assert len(self.loading) <= self.limits.max_parallel_loads

    @invariant()
    def memory_is_counted_right(self) -> None:
        if not hasattr(self, "policy"):
            return
        held = [*self.resident, *self.loading, *self.leaving]
        assert self.policy.memory_mb == self._memory(held)
        if self.memory.exact:
            assert self.policy.memory_mb == self.memory.really(held)
            assert self.limits.memory_cap_mb is None or self.memory.really(held) <= self.limits.memory_cap_mb

    @invariant()
    def nobody_outstays_its_time(self) -> None:
        if not hasattr(self, "policy"):
            return
        idle = [model for model in self.resident if model != DEFAULT and not self._held(model)]
        assert all(self._expires_at(model) > self.now for model in idle)
        assert self.policy.deadline() == min(map(self._expires_at, idle), default=None)

    @invariant()
    def both_know_the_same(self) -> None:
        if not hasattr(self, "policy"):
            return
        assert list(self.policy.waiting) == self.queue
        assert set(self.policy.at("resident")) == set(self.resident)
        assert set(self.policy.at("loading")) == set(self.loading)
        assert set(self.policy.at("leaving")) == set(self.leaving)

    @invariant()
    def who_waits_is_served_in_the_end(self) -> None:
        if hasattr(self, "policy") and self.queue:
            assert self.loading or self.leaving, "they wait for nothing"

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


TestResidencyMachine = ResidencyMachine.TestCase
TestResidencyMachine.settings = settings(max_examples=400, stateful_step_count=40, deadline=None)
