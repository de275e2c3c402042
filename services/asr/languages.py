"""The languages that Whisper knows: codes, and the English names that providers answer with. Pure."""

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
