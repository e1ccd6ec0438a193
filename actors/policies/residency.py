"""Which models stay in memory. Pure: `now` comes in, loads and evictions come out.

Loads start first come, first served, `max_parallel_loads` at a time; all who want the same model share one load.
A model that somebody uses is never evicted. An idle one goes when it was not used for `ttl_ms` and was loaded at least
`min_residency_ms` ago; the default one does not go by time.

Above a cap the least recently used idle model goes at once: those past their minimum residency first, the default
last. A cap thus outranks the minimum residency, which protects against loading and unloading in turn, while a cap
protects the machine, and behind a load somebody waits. `resident_cap` says how many models are kept and yields to use:
while all are in use, one more may be loaded for somebody who will use it (a session that changes its voice holds both
for a moment). `memory_cap_mb` does not yield: a load without room beside the models in use is refused, since waiting
would mean waiting for a conversation to end. It is exceeded only when loading needed more than was estimated.

Memory is counted of models that are resident, loading or leaving: of each what is its own, and each base that they
share once (see `footprint`). So evicting an adapter frees the adapter, and whoever is the last on a base frees that,
too; a base that is in use stays, because its user does. A load whose base is leaving with its last model waits until
that has gone. `resident_cap` counts models, not bases.
"""

from collections.abc import Mapping, Sequence

from actors.policies.caps import Caps
from actors.policies.footprint import Footprint
from actors.policies.resident import Command, Evict, EvictReason, Limits, Load, Need, Place, Refuse, Resident, at
from protocol.ids import Millis, ModelId


class Residency:
    """Ask for changes, then carry out what `due` says, and report how that went.

    Attributes:
        footprint: what the models take; to read only.
    """

    def __init__(self, models: Mapping[ModelId, Need], *, limits: Limits) -> None:
        """`models`: each with what it is estimated to take, the default one first."""
        self._limits = limits
        self._models: dict[ModelId, Resident] = {}
        self._known: dict[ModelId, Need] = {}
        self.footprint = Footprint(self._models)
        self._caps = Caps(self._models, self.footprint, limits)
        self._queue: list[ModelId] = []
        self._commands: list[Command] = []
        self.know(models)

    def __getitem__(self, model: ModelId) -> Resident:
        """What is known of it; to read only."""
        return self._models[model]

    @property
    def known(self) -> Sequence[ModelId]:
        """All that could be loaded, the default first."""
        return list(self._known)

    @property
    def waiting(self) -> Sequence[ModelId]:
        """Loads that have not begun, in order."""
        return tuple(self._queue)

    def at(self, *places: Place) -> list[ModelId]:
        """The models there."""
        return at(self._models, *places)

    # --- wishes -----------------------------------------------------------------------------------------------------
    def hold(self, model: ModelId, hold: int, now: Millis) -> Millis:
        """Somebody is going to use it: load it if it is not resident, and keep it until `release`.

        0, or how long loading is not tried again after a failure: then nothing has changed. So is `load`'s answer.
        """
        if pause := self.pause_ms(model, now):
            return pause
        resident = self._models[model]
        resident.holds.add(hold)
        resident.last_used = now
        self._want(model)
        return Millis(0)

    def load(self, model: ModelId, now: Millis) -> Millis:
        """Somebody wants it resident, without using it yet."""
        if pause := self.pause_ms(model, now):
            return pause
        resident = self._models[model]
        resident.last_used = now
        resident.in_background = resident.place != "resident"
        self._want(model)
        return Millis(0)

    def release(self, model: ModelId, hold: int, now: Millis) -> None:
        """Used no more. Harmless when repeated, and when the model has gone."""
        resident = self._models.get(model)
        if resident is None or hold not in resident.holds:
            return
        resident.holds.discard(hold)
        resident.last_used = now
        if not resident.holds and not resident.in_background and model in self._queue:
            self._queue.remove(model)  # nobody waits for it any more
            self._forget(model)

    def pause_ms(self, model: ModelId, now: Millis) -> Millis:
        """Before loading is tried again after a failure; 0: it may be."""
        resident = self._models[model]
        return Millis(max(0, resident.retry_at - now) if resident.failures else 0)

    def unload(self, model: ModelId) -> bool:
        """Evict it now; False when it is in use, being loaded or about to be."""
        resident = self._models[model]
        if resident.holds or resident.place == "loading" or model in self._queue:
            return False
        if resident.place == "resident":
            self._evict(model, "asked")
        return True

    def renew(self, model: ModelId) -> None:
        """Unload it and load it anew, as soon as nobody uses it; a failure of before is forgotten."""
        resident = self._models[model]
        resident.failures, resident.fault = 0, ""
        if resident.place in ("loading", "resident"):
            resident.stale = resident.renew = True

    def know(self, models: Mapping[ModelId, Need]) -> None:
        """These are the models now, the default one first; one that is missing goes as soon as nobody uses it."""
        self._known = dict(models)
        self.footprint.know(models.values())
        for model, need in models.items():
            known = self._models.setdefault(model, Resident(need.own_mb))
            known.stale = known.renew
            self._declare(model)
        for model in [m for m in self._models if m not in models]:
            self._models[model].stale, self._models[model].renew = True, False
            if model in self._queue:
                self._refuse(model, f"the voice pack of {model} has gone")
            self._forget(model)

    # --- what became of it ------------------------------------------------------------------------------------------
    def loaded(self, model: ModelId, now: Millis, measured_mb: int = 0, *, with_base: bool = True) -> None:
        """It takes work; 0 MB: not measured. `with_base`: it has loaded its base, too, and not found it there."""
        resident = self._models[model]
        resident.place = "resident"
        resident.in_background = False
        resident.loaded_at = resident.last_used = now
        resident.failures, resident.fault = 0, ""
        self.footprint.measure(model, measured_mb, with_base=with_base)

    def failed(self, model: ModelId, now: Millis, fault: str) -> None:
        """It could not be loaded; nobody waits for it any more."""
        resident = self._models[model]
        resident.renew = False
        self.gone(model)
        resident.failures += 1
        resident.fault = fault
        resident.retry_at = Millis(now + self._limits.pause_ms(resident.failures))

    def gone(self, model: ModelId) -> None:
        """Its memory is back: it was evicted, or has died with all who used it."""
        resident = self._models[model]
        was_leaving = resident.place == "leaving"
        resident.place = "absent"
        self._declare(model)
        if resident.renew:
            resident.in_background = True
            self._want(model)
        resident.stale = resident.renew = False
        if not was_leaving:
            resident.holds.clear()
            resident.in_background = resident.in_background and model in self._queue
        self._forget(model)

    # --- what to do -------------------------------------------------------------------------------------------------
    def due(self, now: Millis) -> list[Command]:
        """What is to be done now. To be called after each change, and at `deadline`."""
        for model, resident in self._models.items():
            if resident.is_idle and resident.stale:
                self._evict(model, "reload")
            elif resident.is_idle and model != self._default and now >= resident.expires_at(self._limits):
                self._evict(model, "ttl")
        self._keep_caps(now)
        while self._queue and len(self.at("loading")) < self._limits.max_parallel_loads:
            if not self._begin(self._queue[0], now):
                break
        commands, self._commands = self._commands, []
        return commands

    def deadline(self) -> Millis | None:
        """When `due` has something to say though nothing happens."""
        idle = (r for model, r in self._models.items() if r.is_idle and model != self._default)
        return min((resident.expires_at(self._limits) for resident in idle), default=None)

    # --- inside -----------------------------------------------------------------------------------------------------
    @property
    def _default(self) -> ModelId | None:
        return next(iter(self._known), None)

    def _want(self, model: ModelId) -> None:
        if self._models[model].place in ("absent", "leaving") and model not in self._queue:
            self._queue.append(model)

    def _evict(self, model: ModelId, reason: EvictReason) -> None:
        self._models[model].place = "leaving"
        self._commands.append(Evict(model, reason))

    def _refuse(self, model: ModelId, reason: str) -> None:
        self._queue.remove(model)
        self._models[model].holds.clear()
        self._models[model].in_background = False
        self._commands.append(Refuse(model, reason))

    def _forget(self, model: ModelId) -> None:
        """If its pack has gone and nothing is left of it."""
        if model not in self._known and self._models[model].place == "absent" and model not in self._queue:
            del self._models[model]

    def _keep_caps(self, now: Millis) -> None:
        for model in self._victims(now):
            if (reason := self._caps.excess(self.at("resident", "loading"))) is None:
                return
            self._evict(model, reason)

    def _begin(self, model: ModelId, now: Millis) -> bool:
        """Start the first load of the queue, or refuse it; False when it has to wait."""
        resident = self._models[model]
        if resident.place == "leaving":
            return False
        evicted, excess = self._caps.room_for(model, self._victims(now))
        if excess == "memory" or (excess == "cap" and not resident.holds):
            if any(not self._models[other].holds for other in self.at("loading")):
                return False  # which could be evicted once it is loaded
            self._refuse(model, self._caps.refusal(model, excess))
            self._forget(model)
            return True
        for victim, reason in evicted:
            self._evict(victim, reason)
        if self._caps.has_to_wait(model):
            return False
        self._queue.remove(model)
        resident.place = "loading"
        self._commands.append(Load(model))
        return True

    def _victims(self, now: Millis) -> list[ModelId]:
        return self._caps.victims(now, last=self._default)

    def _declare(self, model: ModelId) -> None:
        """From the next load on it is what its voice pack says; until it has gone, what was loaded."""
        resident, need = self._models[model], self._known.get(model)
        if need is not None and resident.place == "absent":
            resident.estimated_mb, resident.base = need.own_mb, need.base
