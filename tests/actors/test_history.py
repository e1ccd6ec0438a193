from actors.history import History
from protocol.ports import ChatMessage


def said(history: History) -> list[tuple[str, str]]:
    return [(m.role, m.content) for m in history.messages()]


def test_the_system_prompt_comes_first_and_stays() -> None:
    history = History(system="Be brief.", max_messages=2)
    for i in range(10):
        history.add_user(f"question {i}")
        history.add_assistant(f"answer {i}")
    assert said(history) == [("system", "Be brief."), ("user", "question 9"), ("assistant", "answer 9")]


def test_a_reply_that_was_not_heard_is_not_remembered() -> None:
    history = History()
    history.add_user("Who are you?")
    history.add_assistant(" ")
    assert said(history) == [("user", "Who are you?")]


def test_two_pieces_of_one_reply_are_one_message() -> None:
    history = History()
    history.add_assistant("One two")
    history.add_assistant(" three.")
    assert said(history) == [("assistant", "One two three.")]


def test_words_that_are_taken_back_leave_no_trace() -> None:
    history = History()
    history.add_user("What time")
    history.withdraw_user()
    assert said(history) == []
    history.add_assistant("Hello.")
    history.withdraw_user()
    assert said(history) == [("assistant", "Hello.")]


def test_words_after_an_unanswered_question_are_joined_with_it_and_can_be_taken_back() -> None:
    history = History()
    history.add_user("What time is it?")
    history.add_user("And where?")
    assert said(history) == [("user", "What time is it? And where?")]
    history.withdraw_user()
    assert said(history) == [("user", "What time is it?")]


def test_a_preview_remembers_nothing() -> None:
    history = History(system="Be brief.")
    history.add_user("What time")
    preview = history.messages(and_user="is it?")
    assert preview == [
        ChatMessage(role="system", content="Be brief."),
        ChatMessage(role="user", content="What time is it?"),
    ]
    assert said(history) == [("system", "Be brief."), ("user", "What time")]


def test_the_oldest_go_first_when_it_grows_too_long() -> None:
    history = History(max_characters=20)
    history.add_user("0123456789")
    history.add_assistant("abcdefghij")
    history.add_user("new")
    assert said(history) == [("assistant", "abcdefghij"), ("user", "new")]
