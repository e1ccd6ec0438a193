"""Tables of words by language, for the two questions of turn-taking: was that meant, and was that all?"""

# ruff: noqa: SIM905 - tables of words are read as text

from typing import Final

HESITATIONS: Final = frozenset("um umm uh uhh er erm hm hmm hmmm ah eh em m mm mmm äh ähm hum".split())
"""Sounds of somebody who is about to speak."""
HUMS: Final = frozenset(
    "mm mmm mmmm mhm mmhm mhmm mmhmm mhmmhm hm hmm hmmm huh uhhuh uhuh aha ahem m um uh ah oh ooh".split()
)
"""Sounds without words, in any language."""
HALLUCINATED: Final = frozenset({"you", "thank you", "thanks for watching", "thank you for watching", "bye", "so"})
"""What Whisper writes for noise."""

FILLERS: Final[dict[str, frozenset[str]]] = {
    "en": frozenset(
        "yeah yep yup yes right okay ok alright sure good great nice cool really wow well exactly indeed "
        "true fine perfect interesting absolutely definitely totally".split()
    ),
    "de": frozenset("ja jaja genau richtig gut okay ok klar stimmt aha achso so natürlich schön echt".split()),
    "fr": frozenset("oui ouais daccord ok okay bien voilà exact exactement bon ah vraiment".split()),
    "es": frozenset("sí si vale claro ya bueno okay ok exacto cierto entiendo".split()),
}
"""Words of somebody who listens."""
FILLING_PHRASES: Final[dict[str, tuple[str, ...]]] = {
    "en": tuple(
        "i see,got it,i know,thats right,of course,makes sense,make sense,that makes sense,i understand,fair enough,"
        "all right,go on,i got it".split(",")
    ),
    "de": ("alles klar", "ich verstehe", "ach so", "na gut"),
    "fr": ("je vois", "bien sûr", "tout à fait"),
    "es": ("ya veo", "por supuesto", "de acuerdo"),
}
FLOOR_TAKING: Final[dict[str, frozenset[str]]] = {
    "en": frozenset("stop wait no nope hold hang pause quiet enough cancel hey hello excuse listen but".split()),
    "de": frozenset("stopp stop halt warte warten nein moment pause ruhe aber".split()),
    "fr": frozenset("stop arrête arrêtez attends attendez non pause silence mais".split()),
    "es": frozenset("para pare alto espera espere no pausa silencio pero".split()),
}
"""Words that stop us even when they are hardly understood."""

DANGLING: Final[dict[str, frozenset[str]]] = {
    "en": frozenset(
        "and or but because if the a an of to at from with for my your his her our their its was were "
        "i im we they than as into between when while whether although unless until every some".split()
    ),
    "de": frozenset("und oder aber weil wenn dass der die das ein eine einen von zu mit für mein dein ich wir".split()),
    "fr": frozenset("et ou mais parce si que le la les un une de du des à avec pour mon ma je nous".split()),
    "es": frozenset("y o pero porque si que el la los las un una de del a con para mi tu".split()),
}
"""Words that hardly any sentence ends with. Those that may ("that", "on", "is", "so") are left out."""
GREETINGS: Final = frozenset(
    "hello hi hey there good morning afternoon evening hallo guten tag morgen bonjour salut hola excuse me okay well "
    "so sorry please".split()
)
"""Words that people open with before they come to the point."""


def of(table: dict[str, frozenset[str]], language: str) -> frozenset[str]:
    """The words for a language tag such as `en` or `en-GB`; none for a language without a table."""
    return table.get(language.partition("-")[0], frozenset())
