"""Nothing that is posted to `/offer` does more harm than a refusal."""

import contextlib

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.transport.webrtc import parse_offer
from adapters.transport.webrtc_link import WebRtcLimits
from protocol.conversation import OpenSession, ResumeSession, SessionConfig
from protocol.errors import MalformedMessage

SDP = "v=0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\n"
LIMITS = WebRtcLimits()
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(st.binary(max_size=200))
def test_bytes(body: bytes) -> None:
    with contextlib.suppress(MalformedMessage):
        parse_offer(body, LIMITS)


@settings(max_examples=300)
@given(
    st.fixed_dictionaries(
        {},
        optional={
            "sdp": st.just(SDP) | JSON,
            "type": st.just("offer") | JSON,
            "session": st.just("abc") | JSON,
            "token": st.just("x" * 20) | JSON,
            "config": st.just({"voice": "heart"}) | JSON,
        },
    )
)
def test_json(offer: dict[str, object]) -> None:
    try:
        description, first = parse_offer(orjson.dumps(offer), LIMITS)
    except MalformedMessage:
        return
    assert description.sdp == offer["sdp"]
    assert isinstance(first, OpenSession if offer.get("session") is None else ResumeSession)


def test_an_offer_may_configure_or_resume() -> None:
    body = {"type": "offer", "sdp": SDP}
    assert parse_offer(orjson.dumps(body), LIMITS)[1] == OpenSession()
    assert parse_offer(orjson.dumps(body | {"config": {"voice": "joe"}}), LIMITS)[1] == OpenSession(
        config=SessionConfig(voice="joe")
    )
    resumed = parse_offer(orjson.dumps(body | {"session": "abc", "token": "x" * 20}), LIMITS)[1]
    assert isinstance(resumed, ResumeSession)
    assert (resumed.session, resumed.token) == ("abc", "x" * 20)


def test_a_session_without_a_token_is_malformed() -> None:
    with pytest.raises(MalformedMessage):
        parse_offer(orjson.dumps({"type": "offer", "sdp": SDP, "session": "abc"}), LIMITS)
