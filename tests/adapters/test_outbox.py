from adapters.bus.outbox import Outbox


def letters(outbox: Outbox, now: float) -> list[str]:
    taken = []
    while (letter := outbox.take(now)) is not None:
        taken.append(letter.subject)
    return taken


def test_what_is_kept_leaves_in_order() -> None:
    outbox = Outbox()
    for subject in ("a", "b", "c"):
        outbox.put(subject, b"", 0.0)
    assert letters(outbox, 1.0) == ["a", "b", "c"]
    assert outbox.take_dropped() == 0


def test_what_is_older_than_its_time_is_dropped_and_counted() -> None:
    outbox = Outbox(keep_s=5.0)
    outbox.put("old", b"", 0.0)
    outbox.put("new", b"", 3.0)
    assert letters(outbox, 5.5) == ["new"]
    assert outbox.take_dropped() == 1
    assert outbox.take_dropped() == 0


def test_of_too_many_the_oldest_give_way() -> None:
    outbox = Outbox(keep_messages=2)
    for subject in ("a", "b", "c"):
        outbox.put(subject, b"", 0.0)
    assert len(outbox) == 2
    assert letters(outbox, 0.0) == ["b", "c"]
    assert outbox.take_dropped() == 1
