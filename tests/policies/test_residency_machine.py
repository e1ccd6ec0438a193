"""Whatever is asked for in whatever order: caps, memory, use, times, order and pauses are honoured."""

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import invariant, precondition, rule

from protocol.ids import Millis, ModelId
from tests.policies.recorded_residency import DEFAULT, MODELS, RecordedResidency

_model = st.sampled_from(MODELS)


class ResidencyMachine(RecordedResidency):
    """People come and go, operators interfere, loads succeed, fail and end, and time passes."""

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
        assert self.policy.footprint.total_mb == self._memory(held)
        if self.memory.exact:
            assert self.policy.footprint.total_mb == self.memory.really(held)
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


TestResidencyMachine = ResidencyMachine.TestCase
TestResidencyMachine.settings = settings(max_examples=400, stateful_step_count=40, deadline=None)
