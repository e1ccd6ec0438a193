from actors.policies.supervision import Supervision


def test_the_first_fault_is_mended_almost_at_once() -> None:
    policy = Supervision()
    policy.started(0.0)
    assert policy.ended(60.0) == 0.1


def test_pauses_grow_up_to_a_bound_while_a_part_does_not_hold_out() -> None:
    policy = Supervision(first_pause_s=0.1, longest_pause_s=2.0)
    pauses = []
    for second in range(5):
        policy.started(second)
        pauses.append(round(policy.ended(second + 0.5), 3))
    assert pauses == [0.1, 0.3, 0.9, 2.0, 2.0]


def test_a_part_that_cannot_even_be_started_waits_longer_and_longer() -> None:
    policy = Supervision()
    assert policy.ended(0.0) < policy.ended(1.0) < policy.ended(2.0)


def test_who_ran_for_a_while_is_trusted_again() -> None:
    policy = Supervision(first_pause_s=0.1, steady_after_s=20.0)
    policy.started(0.0)
    policy.ended(1.0)
    policy.started(2.0)
    assert policy.ended(21.9) > 0.1
    policy.started(30.0)
    assert policy.ended(50.0) == 0.1


def test_starts_are_counted() -> None:
    policy = Supervision()
    policy.ended(0.0)
    policy.ended(1.0)
    assert policy.restarts == 2
