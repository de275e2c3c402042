"""What of a text is secret, told by its form or by its value, and the text without it. Every pattern takes linear time.

Pure: what a log line is made of is log_fields.py's business.
"""

import json
import re
from collections.abc import Iterable
from urllib.parse import parse_qsl, quote, quote_plus, unquote

MASK = "***"
LEAST = 6
"""Characters of a value that is known to be secret, at least: a shorter one would turn up in ordinary words."""

_NAMES = (
    r"(?:set-)?cookie|(?:proxy-)?authorization|pass(?:word|wd|phrase)|pwd|secret|(?:secret|private|access|api|account|shared)[-_]?key(?:[-_]?id)?"
    r"|token|credentials?|signature|googleaccessid|hdne[as]"
)
_SHORT_NAMES = r"l?sig|key|auth|code|jwt|sid|s"
"""Too short to mean a secret, but where a query begins."""

SECRET_NAME = re.compile(rf"(?:{_NAMES}|(?<![a-z])pass)(?:s|\d)?\Z", re.IGNORECASE)
"""The end of a field's or a header's name whose value is secret."""

_SCHEME = r"\b[a-z][a-z0-9+.-]{1,20}"
_CODED = r"%(?:25){0,3}"
"""Before the digits of a sign that is percent-encoded, once or several times over."""
_QUOTE = r"\\{0,7}[\"']"
_YAML = r"(?:[|>][-+\d]?\s{1,20}|!\S{1,20}\s{1,9})?"
_IS = rf"(?:{_QUOTE}|{_CODED}2[27])?\s{{0,9}}(?:[:=]>?|{_CODED}3[ad])(?:\s|\\[nrt]|{_CODED}20){{0,9}}{_YAML}(?:b(?=[\"']))?"
"""Between a name and its value, as JSON, Python, YAML, a header, a query or an assignment writes it."""
_LOGIN = r"[^\s@/:\"<>\\]{0,100}:(?:(?!://)[^\s\"<>\\%s]){1,200}@"
"""Of a URL. A password may have been written as it is, with signs that belong into none: of HTTP's all but a slash."""


def _quoted(name: str) -> str:
    """A value from its opening quote to the closing one, whatever else is in it."""
    return rf"(?P<{name}>{_QUOTE})(?:(?!(?P={name}))(?:\\[^\n]|[^\\\n]))+"


_SECRETS = re.compile(
    rf"(?P<url>{_SCHEME}:(?://|\\{{1,3}}/\\{{1,3}}/)|(?<![\w:/\\])//(?={_LOGIN % '/'}))"
    rf"(?P<login>(?:(?<!http://)(?<!https://){_LOGIN % ''}|{_LOGIN % '/'})?)"
    rf"(?P<rest>(?:[^\s\"'<>\\,]|\\+/|'(?=[\w%])|,(?!{_SCHEME}://))*)"
    rf"|(?P<coded>{_SCHEME}{_CODED}3a(?:{_CODED}2f){{2}})[^\s\"'<>\\&,]+"
    rf"|(?P<header>(?:cookie|authorization){_IS})(?:{_quoted('q1')}|(?:={_QUOTE}[^\r\n\"'\\]*{_QUOTE}|[^\r\n\"'\\])+)"
    rf"|(?P<named>(?:{_NAMES}|(?<![a-z])pass(?=[\"'=])){_IS})(?:{_quoted('q2')}|(?:{_CODED}2[27])?(?:(?!{_CODED}2[267])[^\s\"'\\,;&)}}\]])+)"
    rf"|(?P<pair>[(\[]b?{_QUOTE}[\w-]{{0,40}}(?:{_NAMES}){_QUOTE},\s{{0,9}}b?){_quoted('q3')}"
    rf"|(?P<query>[?&;](?:{_SHORT_NAMES})=)[^\s\"'\\&]+"
    r"|(?P<scheme>\bbearer\s{1,3}|\b(?:basic|digest)\s{1,3}(?=[a-z+/_-]{0,99}[\d=]))[\w.~+/=:-]+"
    r"|\b(?:gsk_|whsec_|sk-[a-z-]{0,9}|gh[opusr]_|github_pat_|xox[a-z]-|a(?:ki|si|bi|cc)a(?=[a-z0-9]{16}\b)|ck_[0-9a-f-]{8,64}_)[\w+/=-]{6,}"
    r"|(?<![\w-])eyJ[\w-]{8,}\.[\w.-]+"
    r"|-----BEGIN [A-Z ]{0,30}PRIVATE KEY(?: BLOCK)?-----(?s:.*?)(?:-----END [A-Z ]{0,30}PRIVATE KEY(?: BLOCK)?-----|\Z)",
    re.IGNORECASE,
)

_MARKS = (
    *("=", ":", "?", "&", "%", "',", '",', "bearer", "basic", "digest", "gsk_", "whsec_", "ck_", "sk-"),
    *("gho_", "ghp_", "ghu_", "ghs_", "ghr_", "github_pat_", "xox", "akia", "asia", "abia", "acca", "eyj", "-----begin"),
)
"""One of these, in lower case, is in every text in which `_SECRETS` finds something; in most texts there is none."""
_QUERY_VALUE = re.compile(r"(?<==)[^&;=#]+|(?<=[?&;#])[^&;=#]{20,}(?=[&;#]|\Z)")
_PATH_SECRET = re.compile(r"(?<=[/;])(l?sig|signature|key|token|hdne[as]|~?hmac|jsessionid)([/=])[^/;]+", re.IGNORECASE)


def redacted(text: str) -> str:
    """The text with *** for what has the form of a secret: in URLs, headers, assignments, and keys that show what they are."""
    return _SECRETS.sub(_masked, text) if _may_hold_secrets(text) else text


def _may_hold_secrets(text: str) -> bool:
    lower = text.lower()
    for mark in _MARKS:  # noqa: SIM110  half the time of `any` over a generator, and every line waits for it
        if mark in lower:
            return True
    return False


def _masked(found: re.Match[str]) -> str:
    if url := found["url"]:
        return f"{url}{_masked_login(found['login'])}{_masked_rest(found['rest'])}"
    named = found["coded"] or found["header"] or found["named"] or found["pair"] or found["query"] or found["scheme"]
    return f"{named or ''}{found['q1'] or found['q2'] or found['q3'] or ''}{MASK}"


def _masked_login(login: str) -> str:
    """The user stays where there is a password."""
    return f"{login.partition(':')[0]}:{MASK}@" if login else ""


def _masked_rest(rest: str) -> str:
    """Of a URL what follows a login with a password. Its query's names stay: what those stand for may each be a signature."""
    address, mark, query = _parted(rest)
    host, slash, path = address.partition("/")
    _, at, host = host.rpartition("@")
    said = _PATH_SECRET.sub(rf"\1\2{MASK}", f"{slash}{path}")
    return f"{MASK if at else ''}{at}{host}{said}{_QUERY_VALUE.sub(MASK, mark + query)}"


def _parted(rest: str) -> tuple[str, str, str]:
    found = re.search(r"[?#]", rest)
    return (rest[: found.start()], found[0], rest[found.end() :]) if found else (rest, "", "")


def known_secrets(values: Iterable[str]) -> tuple[str, ...]:
    """What is to be looked for, longest first: of a URL its password, or a user that has none, else the value, in each spelling."""
    written = {form for value in values for part in _secret_parts(value) for form in _spellings(part)}
    return tuple(sorted((form for form in written if len(form) >= LEAST), key=len, reverse=True))


def _spellings(part: str) -> tuple[str, ...]:
    """As it is, in a URL, in JSON and in a repr."""
    return part, quote(part), quote(part, safe=""), quote_plus(part), json.dumps(part)[1:-1], repr(part)[1:-1]


def _secret_parts(value: str) -> list[str]:
    if "://" not in value:
        return [value]
    found = []
    for url in re.split(rf",(?={_SCHEME}://)", value.strip(), flags=re.IGNORECASE):
        behind = url.partition("://")[2]
        user, _, password = behind.rpartition("@")[0].partition(":")
        asked = parse_qsl(behind.partition("?")[2])
        pieces = re.split(r"[/?#@:]", password)  # one that was not quoted, as whoever fails to read it shows it
        found += [password or user, *pieces, *(said for name, said in asked if SECRET_NAME.search(name))]
    return [form for part in found for form in (part, unquote(part))]


def without(secrets: Iterable[str], text: str) -> str:
    """The text with *** for each of these; to ask for each is cheaper than one pattern of all."""
    for secret in secrets:
        if secret in text:
            text = text.replace(secret, MASK)
    return text
