"""Languages: the codes of ISO 639-1 that a client may name, those that Whisper knows, and which of them a model can do. Pure."""

import re
from dataclasses import dataclass
from functools import lru_cache

ISO_639_1 = frozenset(
    """
    aa ab ae af ak am an ar as av ay az ba be bg bi bm bn bo br bs ca ce ch co cr cs cu cv cy da de dv dz ee el en eo es et eu fa ff
    fi fj fo fr fy ga gd gl gn gu gv ha he hi ho hr ht hu hy hz ia id ie ig ii ik io is it iu ja jv ka kg ki kj kk kl km kn ko kr ks ku
    kv kw ky la lb lg li ln lo lt lu lv mg mh mi mk ml mn mr ms mt my na nb nd ne ng nl nn no nr nv ny oc oj om or os pa pi pl ps pt qu
    rm rn ro ru rw sa sc sd se sg si sk sl sm sn so sq sr ss st su sv sw ta te tg th ti tk tl tn to tr ts tt tw ty ug uk ur uz ve vi vo
    wa wo xh yi yo za zh zu
    """.split()  # noqa: SIM905  a list of 183 quoted pairs would be three times as long
)

UNDETERMINED = "und"
"""ISO 639-2 for "we can't tell": nothing was said, or the provider named a language that we don't know."""

_CODE_AND_NAME = """
af afrikaans, am amharic, ar arabic, as assamese, az azerbaijani, ba bashkir, be belarusian, bg bulgarian, bn bengali, bo tibetan, br
breton, bs bosnian, ca catalan, cs czech, cy welsh, da danish, de german, el greek, en english, es spanish, et estonian, eu basque, fa
persian, fi finnish, fo faroese, fr french, gl galician, gu gujarati, ha hausa, haw hawaiian, he hebrew, hi hindi, hr croatian, ht haitian
creole, hu hungarian, hy armenian, id indonesian, is icelandic, it italian, ja japanese, jv javanese, ka georgian, kk kazakh, km khmer, kn
kannada, ko korean, la latin, lb luxembourgish, ln lingala, lo lao, lt lithuanian, lv latvian, mg malagasy, mi maori, mk macedonian, ml
malayalam, mn mongolian, mr marathi, ms malay, mt maltese, my myanmar, ne nepali, nl dutch, nn nynorsk, no norwegian, oc occitan, pa
punjabi, pl polish, ps pashto, pt portuguese, ro romanian, ru russian, sa sanskrit, sd sindhi, si sinhala, sk slovak, sl slovenian, sn
shona, so somali, sq albanian, sr serbian, su sundanese, sv swedish, sw swahili, ta tamil, te telugu, tg tajik, th thai, tk turkmen, tl
tagalog, tr turkish, tt tatar, uk ukrainian, ur urdu, uz uzbek, vi vietnamese, yi yiddish, yo yoruba, yue cantonese, zh chinese
"""

_NAMES = {" ".join(name): code for code, *name in (pair.split() for pair in _CODE_AND_NAME.split(","))}
CODES = frozenset(_NAMES.values())

_WHISPER_CODES = {"jv": "jw", "nb": "no"}
"""Where Whisper's own codes are not those of ISO 639-1."""
_ISO_CODES = {"jw": "jv"}


def is_known(code: str) -> bool:
    """Whether Whisper was trained on this ISO 639-1 language."""
    return code in CODES or code in _WHISPER_CODES


def whisper_code(code: str) -> str:
    """How a Whisper model or provider wants the language named."""
    return _WHISPER_CODES.get(code, code)


def iso_code(name: object) -> str:
    """A provider's word for a language ("English", "en", "en-US", null) as its ISO 639-1 code, else `und`."""
    word = name.strip().lower() if isinstance(name, str) else ""
    code = _NAMES.get(word) or word.replace("_", "-").split("-")[0]
    code = _ISO_CODES.get(code, code)
    return code if code in CODES else UNDETERMINED


_ENGLISH_ONLY = re.compile(r"(?:tiny|base|small|medium)[._-]en\b|[._-]en$|distil-(?:whisper-)?large-v[\d.]+$")
_TRANSCRIBES_ONLY = "turbo"
"""OpenAI's turbo models were not trained to translate: asked to, they transcribe."""


@dataclass(frozen=True, slots=True)
class Abilities:
    """What a Whisper model can do: the languages that it understands, as ISO 639-1, and whether it turns them into English."""

    model: str
    languages: frozenset[str]
    translates: bool


@lru_cache(maxsize=16)
def abilities(model: str) -> Abilities:
    """By the model's name, or its folder's, as OpenAI, Systran and distil-whisper name theirs; any other is taken for a multilingual one.

    An English-only model that is asked for German invents English.
    """
    name = model.rstrip("/").rpartition("/")[2]
    if _ENGLISH_ONLY.search(name.lower()):
        return Abilities(name, frozenset({"en"}), translates=False)
    return Abilities(name, CODES | _WHISPER_CODES.keys(), translates=_TRANSCRIBES_ONLY not in name.lower())
